# The rules of AWS for tags that all resources of the stack get. A provider gives them to its resources (default_tags),
# and a plan knows nothing of AWS's rules, so an apply would stop halfway.

variable "tags" {
  description = "The tags that a provider gives every resource of the stack."
  type        = map(string)

  # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html
  validation {
    condition     = length(var.tags) <= 50
    error_message = "Set at most 50 tags (default_tags of the provider), because AWS allows no more on a resource."
  }

  validation {
    condition     = length(distinct([for key in keys(var.tags) : lower(key)])) == length(var.tags)
    error_message = <<-EOT
      Name each tag once (default_tags of the provider), because IAM takes Project and project for the same tag. The
      folder terraform/ sets the tags Project and Stack.
    EOT
  }

  validation {
    condition     = !anytrue([for key in keys(var.tags) : startswith(lower(key), "aws:")])
    error_message = <<-EOT
      Rename tags that begin with "aws:" (default_tags of the provider), because AWS keeps these names for itself.
    EOT
  }

  validation {
    condition = alltrue([
      for key in keys(var.tags) : can(regex(local.text, key)) && length(key) >= 1 && length(key) <= 128
    ])
    error_message = <<-EOT
      Name tags (default_tags of the provider) with 1 to 128 letters, digits, spaces and . : / = + - @ _ characters,
      because AWS accepts no others.
    EOT
  }

  # EventBridge Scheduler refuses a tag without a value.
  validation {
    condition = alltrue([
      for value in values(var.tags) : can(regex(local.text, value)) && length(value) >= 1 && length(value) <= 256
    ])
    error_message = <<-EOT
      Give each tag (default_tags of the provider) a value of 1 to 256 letters, digits, spaces and . : / = + - @ _
      characters, because AWS accepts no others.
    EOT
  }
}

locals {
  text = "^[\\p{L}\\p{N}\\p{Z}.:/=+@_-]*$"
}
