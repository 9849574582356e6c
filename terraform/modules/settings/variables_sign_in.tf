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
    # How Cognito sends invitations and sign-in codes; null means that Cognito itself sends at most 50 e-mails a day.
    email = optional(object({
      ses_arn  = string           # ARN of a verified identity of Amazon SES, whose account is out of the SES sandbox
      from     = string           # for example "Shop <no-reply@example.com>", an address of the identity
      reply_to = optional(string) # address to which answers go
    }))
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

  # Cognito sends with an identity in the pool's own Region. For older pools, AWS also allows identities in three other
  # Regions.
  validation {
    condition     = alltrue([for email in var.sign_in.email[*] : can(regex(local.ses_arn, email.ses_arn))])
    error_message = <<-EOT
      Give sign_in.email.ses_arn as the ARN of an SES identity in region, us-east-1, us-west-2 or eu-west-1, because
      Cognito sends from no other Region.
    EOT
  }

  validation {
    condition = alltrue([
      for address in compact(flatten([for mail in var.sign_in.email[*] : [mail.from, mail.reply_to]])) :
      can(regex(local.address, address))
    ])
    error_message = "Give sign_in.email.from and reply_to as name@example.com, or from as \"Name <name@example.com>\"."
  }

  # Cognito allows lifetimes of 5 minutes to one day for access tokens and ID tokens.
  validation {
    condition = alltrue([
      for minutes in [var.sign_in.access_minutes, var.sign_in.id_minutes] : minutes >= 5 && minutes <= 1440
    ])
    error_message = "Set sign_in.access_minutes and sign_in.id_minutes to 5 to 1440 minutes."
  }

  # No other token may live longer than the refresh token. That holds anyway, because they live for at most a day.
  validation {
    condition = alltrue([
      for number in [var.sign_in.access_minutes, var.sign_in.id_minutes, var.sign_in.refresh_days] :
      floor(number) == number
    ])
    error_message = <<-EOT
      Set sign_in.access_minutes, id_minutes and refresh_days to whole numbers, because Cognito takes no others.
    EOT
  }

  # Cognito refuses a client that signs users in with a code but has nowhere to return them to. A list of logout URLs
  # may be empty.
  validation {
    condition     = length(var.sign_in.web_callback_urls) > 0 && length(var.sign_in.mobile_callback_urls) > 0
    error_message = <<-EOT
      Give at least one URL in sign_in.web_callback_urls and in mobile_callback_urls, or leave them out, because Cognito
      must know where to return users after sign-in.
    EOT
  }

  validation {
    condition     = alltrue([for name in local.url_lists : length(var.sign_in[name]) <= 100])
    error_message = "Give at most 100 URLs in each list of sign_in, because Cognito takes no more."
  }

  validation {
    condition = alltrue([
      for url in flatten([for name in local.url_lists : var.sign_in[name]]) :
      length(url) <= 1024 && !can(regex("\\s", url))
    ])
    error_message = <<-EOT
      Give the URLs in sign_in at most 1024 characters each, without spaces, because Cognito takes no others.
    EOT
  }

  validation {
    condition     = var.sign_in.refresh_days >= 1 && var.sign_in.refresh_days <= 3650
    error_message = "Set sign_in.refresh_days to 1 to 3650 days."
  }
}

locals {
  url_lists = ["web_callback_urls", "web_logout_urls", "mobile_callback_urls", "mobile_logout_urls"]

  web_url = "^(https://[^*#]+|http://localhost(:[0-9]+)?(/[^*#]*)?)$"
  ses_arn = "^arn:aws[a-z-]*:ses:(${var.region}|us-east-1|us-west-2|eu-west-1):[0-9]{12}:identity/.+$"
  # Cognito accepts printable ASCII characters only.
  address    = "^([ -;=?-~]+ <)?[!-;=?A-~]+@[A-Za-z0-9.-]+>?$"
  mobile_url = "^[a-z][a-z0-9+.-]*://[^*#]+$"
}
