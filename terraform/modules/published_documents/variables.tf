variable "bucket" {
  description = "Name of the bucket."
  type        = string
}

variable "documents" {
  description = "Name of each document under contract/ -> its content, a JSON text."
  type        = map(string)
}
