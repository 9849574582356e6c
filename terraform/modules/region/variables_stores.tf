variable "cache" {
  description = <<-EOT
    How `read` reaches the item cache: the engine (`valkey` or `dax`), the settings as JSON text, the policy statements
    that it needs, and the network (null: outside any VPC). null without a cache.
  EOT
  type = object({
    engine     = string
    settings   = string
    statements = list(object({ Sid = string, Action = list(string), Resource = list(string) }))
    vpc        = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
  default = null
}

variable "cache_secrets" {
  description = "Environment variables of `read` that no output may show: the password of an external cache."
  type        = map(string)
  default     = {}
  sensitive   = true
}

variable "feeds" {
  description = <<-EOT
    Private store (`cache`, `database`) -> the queue to which `publish` sends the keys of changed items, and the names
    of the collections whose items the store holds.
  EOT
  type        = map(object({ queue_url = string, queue_arn = string, collections = list(string) }))
  default     = {}
}
