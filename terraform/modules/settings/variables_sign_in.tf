# How users sign in.

variable "sign_in" {
  description = "How users sign in with Cognito, and for how long."
  type = object({
    mfa          = optional(string, "OPTIONAL") # multi-factor authentication: OFF, OPTIONAL or ON
    self_sign_up = optional(bool, false)        # true: anybody may register; false: only administrators create users
    # URLs to which Cognito's hosted page returns a user of the web application after sign-in.
    web_callback_urls = optional(list(string), ["http://localhost:8080/callback"])
    # URLs to which Cognito's hosted page returns a user of the web application after sign-out.
    web_logout_urls = optional(list(string), ["http://localhost:8080/"])
    # URLs to which Cognito's hosted page returns a user of the mobile application after sign-in.
    mobile_callback_urls = optional(list(string), ["readplane://callback"])
    # URLs to which Cognito's hosted page returns a user of the mobile application after sign-out.
    mobile_logout_urls = optional(list(string), ["readplane://signed-out"])
    access_minutes     = optional(number, 30) # lifetime of access tokens
    id_minutes         = optional(number, 30) # lifetime of ID tokens
    refresh_days       = optional(number, 30) # lifetime of refresh tokens
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["OFF", "OPTIONAL", "ON"], var.sign_in.mfa)
    error_message = "Set sign_in.mfa to OFF, OPTIONAL or ON."
  }

  validation {
    condition = alltrue([
      for url in concat(var.sign_in.web_callback_urls, var.sign_in.web_logout_urls) : can(regex(local.web_url, url))
    ])
    error_message = <<-EOT
      Give the web application's URLs as https://… or http://localhost…, because somebody on the way could read the
      sign-in code over plain HTTP.
    EOT
  }

  validation {
    condition = alltrue([
      for url in concat(var.sign_in.mobile_callback_urls, var.sign_in.mobile_logout_urls) :
      can(regex(local.mobile_url, url))
    ])
    error_message = <<-EOT
      Give the mobile application's URLs with a scheme of its own, such as app://callback, or as https://….
    EOT
  }

  validation {
    condition = !anytrue([
      for url in concat(var.sign_in.mobile_callback_urls, var.sign_in.mobile_logout_urls) : startswith(url, "http://")
    ])
    error_message = <<-EOT
      Remove URLs with http:// from the mobile application's URLs, because somebody on the way could read the sign-in
      code.
    EOT
  }

  # Cognito allows lifetimes of 5 minutes to one day for access tokens and ID tokens.
  validation {
    condition = alltrue([
      for minutes in [var.sign_in.access_minutes, var.sign_in.id_minutes] : minutes >= 5 && minutes <= 1440
    ])
    error_message = "Set sign_in.access_minutes and sign_in.id_minutes to 5 to 1440 minutes."
  }

  validation {
    condition     = var.sign_in.refresh_days >= 1 && var.sign_in.refresh_days <= 3650
    error_message = "Set sign_in.refresh_days to 1 to 3650 days."
  }
}

locals {
  web_url    = "^(https://[^*#]+|http://localhost(:[0-9]+)?(/[^*#]*)?)$"
  mobile_url = "^[a-z][a-z0-9+.-]*://[^*#]+$"
}
