# How a new version of the functions reaches clients.

variable "deploy" {
  description = <<-EOT
    How a new version of the functions reaches clients. By default, clients get it with terraform apply, as soon as it
    has passed its check. See docs/upgrading.md.
  EOT
  type = object({
    # Terraform only publishes new versions, and `ops/readplane deploy` brings them to clients: by AWS CodeDeploy, which
    # sends a share of the calls to the new version first, and rolls back if an alarm fires. Switch it on in an apply of
    # its own. It needs alarms.
    canary = optional(object({
      # Percentage of the calls that the new version gets first. An alarm on the API needs more than 5 % of failures.
      percent = optional(number, 10)
      # Minutes until it gets all calls. An alarm needs 3 minutes or more to fire.
      minutes = optional(number, 10)
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for canary in var.deploy.canary[*] : contains(range(6, 100), canary.percent)])
    error_message = <<-EOT
      Set deploy.canary.percent to a whole number from 6 to 99. With 5 % or less, the alarm on the errors of the API
      couldn't see a new version that fails.
    EOT
  }

  validation {
    condition = alltrue([
      for canary in var.deploy.canary[*] : canary.minutes == floor(canary.minutes)
      && canary.minutes >= 5 && canary.minutes <= 2880
    ])
    error_message = <<-EOT
      Set deploy.canary.minutes to a whole number from 5 to 2880. Alarms need some minutes to fire, and CodeDeploy
      allows two days.
    EOT
  }

  validation {
    condition     = var.alarms || var.deploy.canary == null
    error_message = "Set alarms to true or remove deploy.canary, because only alarms can roll a deployment back."
  }
}
