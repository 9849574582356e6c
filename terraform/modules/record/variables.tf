variable "name" {
  description = "Stack name."
  type        = string
}

variable "region" {
  description = "Primary Region."
  type        = string
}

variable "role_path" {
  description = "Path of the stack's IAM roles."
  type        = string
}

variable "collections" {
  description = "Collection name -> who reads it, how often that has changed, and whether the collection is retired."
  type        = map(object({ read = string, read_changes = number, retired = bool }))
}

variable "replica" {
  description = <<-EOT
    The replica: its Region (null without one), whether it is enabled, and whether Terraform must refuse to delete it.
  EOT
  type        = object({ region = string, enabled = bool, protected = bool })
}

variable "keys" {
  description = <<-EOT
    Which key encrypts the data of the primary Region and of the replica Region: `aws` (keys that AWS owns), `own` (a
    key that the stack makes) or the ARN of an existing key. The replica's is null without an enabled replica.
  EOT
  type        = object({ primary = string, replica = string })
}

variable "user_pool" {
  description = "The pool of the users: `own` (a pool that the stack makes), or the ARN of an existing pool."
  type        = string
}

variable "change_stream" {
  description = <<-EOT
    The change stream: its shards (null if Kinesis chooses them), and whether Terraform must refuse to delete it. null
    without sources.
  EOT
  type        = object({ shards = number, protected = bool })
}

variable "edge" {
  description = <<-EOT
    The edge: the generation of the secret that CloudFront sends to the API, and the generations that the API accepts
    (null: any request, because the API isn't locked). null without an edge.
  EOT
  type        = object({ sends = string, accepts = list(string) })
}

variable "items" {
  description = "Generations of the items table: the live one, and the one that is being made or was live before."
  type        = object({ live = number, building = optional(number), former = optional(number) })
  default     = { live = 1 }
}

variable "canary" {
  description = "Whether CodeDeploy shifts clients to new versions of the functions."
  type        = bool
  default     = false
}
