variable "query" {
  description = <<-EOT
    How `query` reaches the database: how many executions may hold a connection, the connection to the readers, the
    policy statements that it needs, and the network (null: outside any VPC). null without a database.
  EOT
  type = object({
    concurrency = number
    database = object({
      host              = string
      port              = number
      name              = string
      user              = string
      iam               = bool
      tls               = bool
      ca_pem            = optional(string)
      reads_from_writer = bool
    })
    statements = list(object({ Sid = string, Action = list(string), Resource = list(string) }))
    vpc        = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
  default = null
}

variable "query_secrets" {
  description = "Environment variables of `query` that no output may show: the password of an external database."
  type        = map(string)
  default     = {}
  sensitive   = true
}
