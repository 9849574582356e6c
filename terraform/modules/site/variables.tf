variable "name" {
  description = "Stack name."
  type        = string
}

variable "kms_key_arn" {
  description = "ARN of the customer managed key that encrypts the files; null means S3's own key (SSE-S3)."
  type        = string
  default     = null
}

variable "access_log_bucket" {
  description = "Name of the bucket that gets S3's log of the requests to this module's bucket; null means none."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = <<-EOT
    Let `terraform destroy` delete a bucket that holds files which Terraform hasn't written. Without them, the bucket is
    empty by then, because Terraform deletes its own files first.
  EOT
  type        = bool
}

variable "tls_only" {
  description = "Refuse plain HTTP. Set it to false only for an emulator that speaks no TLS."
  type        = bool
}

variable "reader_arns" {
  description = "ARNs of the CloudFront distributions that read the files."
  type        = list(string)
}

variable "folder" {
  description = "Folder with the files of the site; null means the folder web/ beside the folder terraform/."
  type        = string
  default     = null

  validation {
    condition     = fileexists("${coalesce(var.folder, "${path.module}/../../../web")}/index.html")
    error_message = "Set folder to the folder with the site's index.html: a copy of the repository's folder web/."
  }
}

# The next three are variables of their own, because Terraform's graph has one node per variable. The policy of the site
# needs the URL, the distribution needs the policy, and the client waits for the distribution's domain. In one object,
# they would be a cycle.
variable "sign_in_url" {
  description = "Base URL of Cognito's hosted pages; null means that the site has no sign-in."
  type        = string
  default     = null

  # A space or a semicolon in the URL would add to the Content-Security-Policy.
  validation {
    condition     = alltrue([for url in var.sign_in_url[*] : can(regex("^https?://[A-Za-z0-9.-]+(:[0-9]+)?$", url))])
    error_message = <<-EOT
      Give the URL of the sign-in page as https://host, without a path or a slash at the end, because the
      Content-Security-Policy of the site names it.
    EOT
  }
}

variable "client_id" {
  description = "Id of the Cognito client of the site. Its callback and logout URLs name the site."
  type        = string
}

variable "scopes" {
  description = "The scopes that the site asks for when a user signs in."
  type        = list(string)

  validation {
    condition     = alltrue([for scope in ["openid", "email"] : contains(var.scopes, scope)])
    error_message = "Add openid and email to the scopes, because the site shows whom it has signed in."
  }
}

variable "collections" {
  description = "Collection name -> the settings of the collection, as in the variable collections of the stack."
  type = map(object({
    read         = string
    retired      = optional(bool, false)
    write_groups = optional(list(string), [])
    schema       = optional(string)
  }))
}

variable "sources" {
  description = "Source name -> its mode, collection and staleness budget in seconds."
  type        = map(object({ mode = string, collection = string, staleness_budget = number }))
  default     = {}
}

variable "documents_path" {
  description = <<-EOT
    Path under which the distribution serves the documents, such as /documents; null means that the site reads items
    from the API only.
  EOT
  type        = string
  default     = null
}
