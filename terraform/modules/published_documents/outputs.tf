output "uris" {
  description = "Name of each document -> the S3 URI of its object."
  value       = { for name, document in aws_s3_object.this : name => "s3://${document.bucket}/${document.key}" }
}
