# The settings of the back offices that `poll` polls, of the change stream, and of the network of `poll`.
#
# `terraform plan` checks every rule about a source that Terraform can check. During `terraform apply`, Terraform
# invokes the new version of `poll`, which checks the rest: that JMESPath expressions compile, and that a named function
# can be used. The new version goes live only after this check (modules/function). Each rule is written in one of the
# two places only (decision 37). The rules that need locals which depend on `sources` stand in rules_sources.tf.

# The words and patterns of the rules below. A validation can't use a local that depends on the validated variable,
# because Terraform would report a cycle. So these locals are constants, or depend on other variables.
locals {
  # A test compares these lists with the types in lambda_src/readplane/poll/source.
  source_modes           = ["changes", "snapshot"]
  request_methods        = ["GET", "POST"]
  payload_formats        = ["json", "csv", "xml"]
  paging_styles          = ["none", "link", "page", "offset", "token"]
  time_formats           = ["rfc3339", "unix_s", "unix_ms", "unix_us", "date", "dotnet"]
  grants                 = ["client_credentials", "refresh_token"]
  client_authentications = ["basic", "body"]

  # The formats of times that may lack an offset, beside patterns such as "%Y-%m-%d %H:%M".
  zoned_formats = ["rfc3339", "date"]

  # The styles that send a page number, an offset or a token, and those that count pages or records.
  paging_styles_with_value = ["page", "offset", "token"]
  counting_styles          = ["page", "offset"]

  # The styles whose next page's link or token stands in the response.
  linking_styles = ["link", "token"]

  # The fields that only a source of changes can have, and those that a function replaces.
  expression_fields = ["records", "id", "version", "deleted", "owner", "translation"]
  changes_fields    = concat(local.expression_fields, ["function", "id_encoding", "order", "deletes", "sweep"])
  text_expressions  = ["records", "id", "deleted", "owner", "translation", "expect"]

  # The JMESPath expressions of paging.
  paging_expressions = ["next", "more", "total", "delta"]

  # Statuses of a client's fault that pass by themselves, or that mean missing rights. They never end a list.
  passing_statuses = [401, 403, 408, 425, 429]

  # The parameters of a token request that other settings set.
  token_parameters = [
    "client_id", "client_secret", "grant_type", "password", "refresh_token", "scope", "username",
  ]

  # The names of the owner collections.
  owned = [for name, collection in var.collections : name if collection.read == "owner"]

  # Headers that control the connection and request of `poll`, or make the request conditional. `poll` itself sets the
  # ones that it needs.
  request_headers = [
    "accept-encoding", "connection", "content-length", "expect", "host", "if-match", "if-modified-since",
    "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "range", "te", "trailer", "transfer-encoding",
    "upgrade", "user-agent",
  ]

  host_pattern = "([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])"
  port_pattern = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
  rate_pattern = "rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)"
  cron_pattern = "cron\\(([^ ()]+ ){5}[^ ()]+\\)"

  # A cron expression with less or more than six fields.
  cron_of_other_length = "cron\\((([^ ()]+ ?){0,5}|([^ ()]+ ){6,}[^ ()]*)\\)"

  # What EventBridge Scheduler accepts in the fields of a cron expression: a value, a range, either with a step, a list
  # of them, * or */step. A day field may be ? as well. L is the last day of the month or week, 6L the last Friday, 3W
  # the weekday nearest to the third, 3#2 the second Tuesday.
  # https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html#cron-based
  cron_values = {
    minutes = { value = "[0-5]?[0-9]", step = "[1-9]|[1-5][0-9]" }
    hours   = { value = "[01]?[0-9]|2[0-3]", step = "[1-9]|1[0-9]|2[0-3]" }
    days    = { value = "0?[1-9]|[12][0-9]|3[01]", step = "[1-9]|[12][0-9]|3[01]" }
    months = {
      value = "0?[1-9]|1[0-2]|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
      step  = "[1-9]|1[0-2]"
    }
    weekdays = { value = "[1-7]|SUN|MON|TUE|WED|THU|FRI|SAT", step = "[1-7]" }
    years    = { value = "19[7-9][0-9]|20[0-9]{2}|21[0-9]{2}", step = "[1-9][0-9]{0,2}" }
  }
  cron_items = { for field, is in local.cron_values : field => "(${is.value})(-(${is.value}))?(/(${is.step}))?" }
  cron_lists = { for field, is in local.cron_values : field => join("|", [
    "\\*(/(${is.step}))?",
    "${local.cron_items[field]}(,${local.cron_items[field]})*",
  ]) }
  cron_fields = [
    "(${local.cron_lists.minutes})",
    "(${local.cron_lists.hours})",
    "(${local.cron_lists.days}|\\?|L|(${local.cron_values.days.value})W)",
    "(${local.cron_lists.months})",
    "(${local.cron_lists.weekdays}|\\?|[1-7]?L|[1-7]#[1-5])",
    "(${local.cron_lists.years})",
  ]

  # The fields from the day of the month to the day of the week, with ? for one of the two.
  cron_days = "(\\? [^ ]+ [^ ?]+|[^ ?]+ [^ ]+ \\?)"

  # Names of headers and query parameters that carry a credential, such as Authorization, X-Auth-Token, api_key, sig and
  # client_secret. They leave page_size, sort_key and client_id alone.
  credential_name = join("|", [
    "key|pass|sid|sig|hmac|(x[-_])?auth",
    "[^=&]*(token|jwt|secret|password|passwd|passphrase|pwd|credentials?|signature|authorization|cookie)",
    "[^=&]*(${join("|", local.credential_keys)})[^a-z0-9=&]?key",
    "[^=&]*session[^a-z0-9=&]?id",
  ])
  credential_keys = [
    "api", "access", "account", "admin", "app", "auth", "client", "functions?", "license", "master", "private",
    "service", "session", "shared", "subscription",
  ]

  # Values that only credentials have: an authentication scheme and its credentials, a JSON Web Token, keys of AWS,
  # Google, GitHub, GitLab, Slack and Stripe, and a URL with a password.
  credential_value = join("|", [
    "^(?i:bearer|basic|token|apikey|digest|negotiate) +[^ ]{8}",
    "eyJ[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_-]{10,}",
    "\\b(AKIA|ASIA)[A-Z0-9]{16}\\b",
    "\\bAIza[A-Za-z0-9_-]{30}",
    "\\bgh[opsru]_[A-Za-z0-9]{20}",
    "\\bglpat-[A-Za-z0-9_-]{10}",
    "\\bxox[abeoprs]-[A-Za-z0-9-]{10}",
    "\\b[prs]k_(live|test)_[A-Za-z0-9]{10}",
    "://[^/?#@ ]+:[^/?#@ ]+@",
  ])

  # Names of a JSON member that carries a credential. Short words such as key are left out, because a body sorts by a
  # key. A value that begins with a placeholder is the token of a page.
  credential_member = join("|", [
    "pass|hmac|[^\"=&]*(jwt|secret|password|passwd|passphrase|pwd|credentials?|signature|authorization|cookie)",
    "[^\"=&]*token|[^\"=&]*(${join("|", local.credential_keys)})[^a-z0-9=&\"]?key",
  ])
  arn_pattern = "^arn:aws[a-z-]*"

  patterns = {
    name     = "^[a-z][a-z0-9-]{0,39}$"
    function = "^readplane\\.poll\\.source\\.functions(\\.[a-z_][a-z0-9_]*)+:[A-Za-z][A-Za-z0-9_]*$"
    item_id  = "^[A-Za-z0-9][A-Za-z0-9._~-]{0,255}$"

    # Path and query may hold all printable ASCII characters but the space and #.
    url    = "^https?://${local.host_pattern}(:${local.port_pattern})?([/?][!-\"$-~]*)?$"
    origin = "^https?://[^/?]+"

    schedule = "^(${local.rate_pattern}|${local.cron_pattern})$"

    # A cron expression whose values exist, or something else.
    cron_values = "^([^c].*|${local.cron_of_other_length}|cron\\(${join(" ", local.cron_fields)}\\))$"

    # A cron expression in which one of the two day fields is ? and the other isn't, or something else.
    cron_days = "^([^c].*|${local.cron_of_other_length}|cron\\([^ ]+ [^ ]+ ${local.cron_days} [^ ]+\\))$"

    credential_header = "^(?i:${local.credential_name})$"
    # A parameter `code` may be the code of a country. A long one is a key, such as that of an Azure function.
    # The value {page} is the token of a page.
    credential_url  = "[?&](?i:(${local.credential_name})=[^&{]|code=[^&]{20})|${local.credential_value}"
    credential_body = "\"(?i:${local.credential_member})\"\\s*:\\s*\"[^\"{]|${local.credential_value}"

    # A long text without words. Names of several words and UUIDs have hyphens, and many APIs tell tenants apart by a
    # UUID. A path begins with a slash.
    random = "^[A-Za-z0-9+][A-Za-z0-9+/]{31,}=*$"

    parameter    = "^[!-~]{1,100}$"
    header       = "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"
    header_value = "^[!-~]([ -~]*[!-~])?$"
    placeholder  = "\\{(cursor|now|page)\\}"
    relation     = "^[A-Za-z0-9:/?#@!$&()*+.,=%_~-]{1,200}$"
    username     = "^[^:\\x00-\\x1f\\x7f]{1,256}$"
    zone         = "^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"
    charset      = "^[A-Za-z0-9][A-Za-z0-9_.:-]{0,39}$"
    delimiter    = "^[^\"\r\n]$"
    certificates = "^-----BEGIN CERTIFICATE-----\r?\n"

    # A secret must be in the primary Region, where `poll` runs, because Secrets Manager and SSM look up a secret in the
    # Region in which they are called, whatever Region the secret's ARN names. `poll` in the replica Region asks for the
    # secret's replica there (source_settings.tf).
    secret = join("", [
      "${local.arn_pattern}:(secretsmanager:${var.region}:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+",
      "|ssm:${var.region}:[0-9]{12}:parameter/[A-Za-z0-9/_.-]+)$",
    ])
    kms_key    = "${local.arn_pattern}:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$"
    secret_url = "^(https://|http://localhost([:/?]|$))"
  }
}

variable "sources" {
  description = <<-EOT
    Source name -> the back office to poll, its schedule, and the collection that the source feeds. If sources is null
    or empty, Terraform creates neither the change stream nor `poll`.
  EOT
  type = map(object({
    # changes: `poll` turns each record of a list into a change. snapshot: it publishes the whole response as one
    # document.
    mode             = string
    collection       = string # the collection that the source feeds
    schedule         = string # how often `poll` runs: an EventBridge Scheduler expression, rate(…) or cron(…)
    staleness_budget = number # seconds; if the data is older, responses say so and an alarm fires

    # The URL of the first page. `poll` replaces {cursor} with the time from which it asks for changes, {now} with the
    # end of that time, and {page} with the page number, offset or token.
    url = string
    # The method and body of the requests; null: GET without a body.
    request = optional(object({
      method = optional(string, "GET") # GET or POST
      # The body as JSON text. A text in it that is only {cursor}, {now} or {page} becomes a number, a text or, without
      # a value, nothing.
      body = optional(string)
    }))
    headers = optional(map(string), {}) # headers that every request sends, by name
    # The secret that every request carries; null if the back office needs none.
    secret = optional(object({
      arn            = string                       # ARN of a Secrets Manager secret or an SSM parameter
      header         = optional(string)             # name of the header that carries the secret
      query          = optional(string)             # name of the query parameter that carries the secret
      basic_username = optional(string)             # user name of HTTP Basic authentication; the secret is the password
      format         = optional(string, "{secret}") # the value to send, in which {secret} stands for the secret
      field          = optional(string)             # field that holds the secret, if the stored value is a JSON object
      kms_key_arn    = optional(string)             # KMS key that encrypts the secret; null: the key that AWS manages

      # KMS key in the replica Region that encrypts the secret's replica there, if poll.in_replica is set; null: the key
      # that AWS manages.
      replica_kms_key_arn = optional(string)
    }))
    # How `poll` gets the access token that every request carries as a bearer token; null if the back office needs none.
    oauth2 = optional(object({
      token_url             = string                                 # URL of the token endpoint
      grant                 = optional(string, "client_credentials") # client_credentials or refresh_token
      client_id             = string                                 # id of the client
      client_authentication = optional(string, "basic")              # how id and secret are sent: basic or body
      scope                 = optional(string)                       # the scope to ask for
      parameters            = optional(map(string), {})              # further parameters of the request, by name
      # Where the client's secret is stored. For refresh_token, it is a JSON object with the members refresh_token and,
      # if the client has a secret, client_secret.
      secret = object({
        arn                 = string
        field               = optional(string)
        kms_key_arn         = optional(string)
        replica_kms_key_arn = optional(string)
      })
    }))
    # Certificates of the connection; null: those of public authorities, and none of `poll`.
    tls = optional(object({
      ca_pem = optional(string) # certificates of the authorities to trust, as PEM; null: the public ones
      # Where the certificate and private key of `poll` are stored, as PEM; null: none.
      client_certificate = optional(object({
        arn                 = string
        field               = optional(string) # field that holds the PEM, if the stored value is a JSON object
        kms_key_arn         = optional(string)
        replica_kms_key_arn = optional(string)
      }))
    }))
    # The form of the response bodies; null: JSON.
    payload = optional(object({
      format    = optional(string, "json") # json, csv or xml
      charset   = optional(string)         # character set, such as windows-1252; null: the declared one, else UTF-8
      delimiter = optional(string)         # character between the fields of a row of CSV; null: a comma
    }))
    # JMESPath that is true for a usable response, such as "errors == null", for a back office that reports an error
    # with the status 200. Any other result fails the poll.
    expect = optional(string)
    # Whether `poll` may ask only for what is new (ETag, Last-Modified). It asks without a condition once an hour.
    conditional = optional(bool, true)

    # JMESPath of the list of records in a response. null with csv: the rows.
    records     = optional(string)
    id          = optional(string) # JMESPath of the item's id in a record
    id_encoding = optional(string) # tilde: write characters that an item id can't hold as ~ and two hexadecimal digits
    # How to read a record's modification time; null if records have none.
    version = optional(object({
      expression = string # JMESPath of the time in a record
      # rfc3339, unix_s, unix_ms, unix_us, date, dotnet, or a pattern such as "%d.%m.%Y %H:%M:%S"
      format = string
      # Time zone of times without an offset, such as Europe/Berlin; null: UTC, but rfc3339 then needs an offset.
      zone = optional(string)
    }))
    deleted     = optional(string) # JMESPath that is true if a record is deleted
    owner       = optional(string) # JMESPath of the user whose item a record is, in owner collections only
    translation = optional(string) # JMESPath that builds the item's data from a record
    # A class that translates records instead of the expressions: readplane.poll.source.functions.<module>:<name>.
    function = optional(string)

    # How `poll` writes {cursor} and {now}.
    cursor = optional(object({
      format  = optional(string) # as version.format, and null means the format of version
      zone    = optional(string) # time zone in which the time is written; null: UTC
      initial = optional(string) # what stands in place of the time when `poll` asks for all records; null: 1970
      # Seconds from {cursor} to {now} for which one request may ask; null: the back office doesn't limit them.
      window_seconds = optional(number)
    }))
    # How `poll` asks for one page after another, and how it knows the last page.
    paging = optional(object({
      style     = optional(string, "none") # none, link, page, offset or token
      next      = optional(string)         # JMESPath of the next page's URL or token; null: the response's Link header
      header    = optional(string)         # response header that holds the next page's URL or token, instead of next
      rel       = optional(string)         # relation of the next page in the Link header; null: next
      parameter = optional(string)         # query parameter for the page number, offset or token; null: only {page}
      first     = optional(number)         # number of the first page, or the first offset; null: 1 and 0
      # Records of a full page before the back office filters them. With it, an offset counts the records that the back
      # office went through instead of those that it returned.
      size            = optional(number)
      more            = optional(string)       # JMESPath that is true if another page follows, and false on the last
      total           = optional(string)       # JMESPath of the number of records in the list
      end_status      = optional(list(number)) # statuses of a request for a page past the last, such as 404
      max_empty_pages = optional(number)       # pages without records in a row that end the list
      delta           = optional(string)       # JMESPath of the URL with which the next pass begins
    }), {})
    # modified: the list is sorted by modification time, oldest first, so `poll` keeps what it has read of a pass.
    order = optional(string)
    # A list at its own address that names deleted records; null: none. `poll` reads it after each complete main
    # pass.
    deletes = optional(object({
      url = string
      request = optional(object({
        method = optional(string, "GET") # GET or POST
        body   = optional(string)
      }))
      records = string # JMESPath of the list of deleted records in a response
      id      = string # JMESPath of the item's id in a deleted record
      # How to read the time of the deletion.
      version = object({
        expression = string           # JMESPath of the time in a deleted record
        format     = string           # as version.format of the source
        zone       = optional(string) # as version.zone of the source
      })
      paging = optional(object({
        style           = optional(string, "none")
        next            = optional(string)
        header          = optional(string) # response header that holds the next page's URL or token, instead of next
        rel             = optional(string)
        parameter       = optional(string)
        first           = optional(number)
        size            = optional(number)
        more            = optional(string)
        total           = optional(string)
        end_status      = optional(list(number))
        max_empty_pages = optional(number)
        delta           = optional(string) # must be null
      }), {})
    }))
    # The maximum percentage of refused records with which a pass makes the source fresh.
    max_refused_percent = optional(number, 10)

    # Seconds before the watermark from which the next poll asks again, for records that the back office committed late.
    lag_seconds         = optional(number, 60)
    timeout_seconds     = optional(number, 10)      # seconds for one attempt of a request, redirects included
    attempts            = optional(number, 3)       # how often a request is sent at most
    max_pages           = optional(number, 100)     # pages that one poll reads at most; the next poll goes on
    max_seconds         = optional(number, 45)      # seconds after which a poll starts no page; the next poll goes on
    requests_per_second = optional(number)          # limit of requests to the back office; null: no limit
    max_bytes           = optional(number, 8388608) # largest response in bytes, after decompression
    # When `poll` stops asking a back office that fails, and for how long.
    breaker = optional(object({
      failures         = optional(number, 5)  # polls that must fail in a row
      cooldown_seconds = optional(number, 30) # seconds until `poll` sends a request again
    }), {})

    # A full listing that finds records which the back office deleted without a mark; null: none. A source without
    # {cursor} and paging.delta lists everything in each pass, so only max_deletes_percent applies to it.
    sweep = optional(object({
      schedule = optional(string) # how often it runs: rate(…) or cron(…)
      url      = optional(string) # URL of the full listing; null: url and request of the source
      # The method and body of the requests to sweep.url; null: GET without a body.
      request = optional(object({
        method = optional(string, "GET") # GET or POST
        body   = optional(string)
      }))
      max_deletes_percent = optional(number, 10) # if more of the collection is missing, the sweep deletes nothing
    }))
    document = optional(string, "current") # item id under which `poll` publishes a snapshot
  }))
  default  = {}
  nullable = false

  # A snapshot is one document. It has no items that a list could show.
  validation {
    condition = alltrue([
      for source in values(var.sources) : try(var.collections[source.collection].relational == null, true)
      if source.mode == "snapshot"
    ])
    error_message = <<-EOT
      Remove relational from the collections that sources of the mode "snapshot" feed, because a snapshot has no items
      to list.
    EOT
  }

  # Two limits of AWS remain. Each source adds up to 80 bytes to the compressed environment variables of `read`, which
  # may have 4 KB together with up to 40 collections. And it adds up to 1,100 characters to the policy of `poll`, of
  # which IAM allows 10,240: its secrets and their keys, and the documents of a snapshot in both Regions. Module
  # function checks both sizes exactly. The settings of the sources themselves are in an S3 object, whose size AWS
  # doesn't limit.
  validation {
    condition     = length(var.sources) <= 20
    error_message = "Declare at most 20 sources. Put the rest into a second stack."
  }

  # API Gateway allows 300 resources per API. A collection uses up to six of them, a source two and a backend two. All
  # other paths together, the root included, use up to seven.
  validation {
    condition     = 6 * length(local.live_collections) + 2 * length(var.sources) + 2 * length(var.backends) + 7 <= 300
    error_message = <<-EOT
      Declare fewer collections, sources or backends, because API Gateway allows 300 resources and the API would have
      more.
    EOT
  }

  validation {
    condition     = alltrue([for name in keys(var.sources) : can(regex(local.patterns.name, name))])
    error_message = <<-EOT
      Name sources with 1 to 40 lower-case letters, digits and hyphens, the first a letter, because the name is part of
      paths, keys and names of schedules.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : contains(local.source_modes, s.mode)])
    error_message = "Set each source's mode to \"changes\" or \"snapshot\"."
  }

  # --- Rules about the collection that a source feeds

  validation {
    condition     = alltrue([for s in var.sources : contains(keys(var.collections), s.collection)])
    error_message = "Declare the collection of each source in collections. The declaration says who may read the data."
  }

  validation {
    condition     = alltrue([for s in var.sources : !try(var.collections[s.collection].retired, false)])
    error_message = "Remove a source before you retire its collection, because the source would fill it again."
  }

  validation {
    condition     = length(distinct(values(var.sources)[*].collection)) == length(var.sources)
    error_message = <<-EOT
      Give each source a collection of its own, because two sources would overwrite and delete each other's items.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : length(try(var.collections[s.collection].write_groups, [])) == 0])
    error_message = <<-EOT
      Remove write_groups from collections that a source feeds. Either clients or one source may write to a collection.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.owner != null || s.function != null
      if s.mode == "changes" && contains(local.owned, s.collection)
    ])
    error_message = <<-EOT
      Set owner if the source's collection is an owner collection. The expression finds the user whose item a record is.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      contains(local.owned, s.collection)
      if s.owner != null && s.mode == "changes" && s.function == null
    ])
    error_message = "Remove owner if the source's collection isn't an owner collection."
  }

  validation {
    condition     = alltrue([for s in var.sources : !contains(local.owned, s.collection) if s.sweep != null])
    error_message = <<-EOT
      Remove sweep from sources of owner collections, because no listing of all owners' items can be known to be
      complete. Set deleted, so that the back office marks deleted records.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : !contains(local.owned, s.collection) if s.mode == "snapshot"])
    error_message = "Choose a public or authenticated collection for a snapshot, because a snapshot has no owner."
  }

  # API Gateway caches a response together with its header Readplane-Stale. If cache_ttl exceeded the staleness budget,
  # a cached response could still say that its data is fresh when the data is older than the budget.
  validation {
    condition = alltrue([
      for s in var.sources :
      try(var.collections[s.collection].cache_ttl, 0) <= s.staleness_budget
    ])
    error_message = <<-EOT
      Set cache_ttl of a collection that a source feeds to at most the source's staleness_budget. Otherwise a cached
      response could say that its data is fresh when it no longer is.
    EOT
  }

  # --- Rules about the fields that a mode requires or excludes

  validation {
    condition = alltrue([
      for s in var.sources :
      s.id != null && s.translation != null
      if s.mode == "changes" && s.function == null
    ])
    error_message = <<-EOT
      Set id and translation for a source of changes, or set a function that replaces them.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.records != null || try(s.payload.format, "json") == "csv"
      if s.mode == "changes" && s.function == null
    ])
    error_message = <<-EOT
      Set records for a source of changes, or set a function that replaces it. Only CSV needs no records.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for s in var.sources :
      [for field in local.expression_fields : s[field] == null] if s.function != null
    ]))
    error_message = <<-EOT
      Remove records, id, version, deleted, owner and translation from a source with a function, because the function
      replaces them.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.paging.next == null && s.paging.header == null
      if s.function != null
    ])
    error_message = <<-EOT
      Remove paging.next and paging.header from a source with a function, because the function finds the next page.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for s in var.sources :
      [for field in local.changes_fields : s[field] == null] if s.mode == "snapshot"
    ]))
    error_message = <<-EOT
      Remove records, id, id_encoding, version, deleted, owner, translation, function, order, deletes and sweep from a
      snapshot, because its payload is published as a whole.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.expect != null || try(var.collections[s.collection].schema, null) != null
      if s.mode == "snapshot"
    ])
    error_message = <<-EOT
      Set expect for a snapshot, or schema for its collection. Otherwise an error that the back office reports with the
      status 200 would replace the document. If any response is right, set expect to "`true`".
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : s.paging.style == "none" if s.mode == "snapshot"])
    error_message = "Remove paging from a snapshot, because one response holds all of it."
  }

  validation {
    condition = alltrue(flatten([
      for s in var.sources :
      [for field in local.text_expressions : try(trimspace(s[field]) != "", true)]
    ]))
    error_message = <<-EOT
      Set records, id, deleted, owner, translation and expect to a JMESPath expression, or leave the field out. An empty
      expression finds nothing.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.function, s.function)) if s.function != null
    ])
    error_message = <<-EOT
      Name a function as readplane.poll.source.functions.<module>:<name>, because `poll` calls no other module.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : s.id_encoding == "tilde" if s.id_encoding != null])
    error_message = "Set id_encoding to \"tilde\", or leave it out if the ids are item ids."
  }

  validation {
    condition     = alltrue([for s in var.sources : s.order == "modified" if s.order != null])
    error_message = "Set order to \"modified\", or leave it out if the order of the list is unknown."
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].max_refused_percent : n >= 0 && n <= 100])
    error_message = <<-EOT
      Set max_refused_percent to 0 to 100. If a larger share of a pass is refused, the source doesn't become fresh.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      contains(local.payload_formats, s.payload.format)
      if s.payload != null
    ])
    error_message = "Set payload.format to \"json\", \"csv\" or \"xml\"."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.charset, s.payload.charset))
      if try(s.payload.charset, null) != null
    ])
    error_message = "Set payload.charset to the name of a character set, such as windows-1252 or iso-8859-1."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.delimiter, s.payload.delimiter))
      if try(s.payload.delimiter, null) != null
    ])
    error_message = "Set payload.delimiter to one character, such as \";\"."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.payload.format == "csv"
      if try(s.payload.delimiter, null) != null
    ])
    error_message = "Remove payload.delimiter, or set payload.format to \"csv\". The other formats have no rows."
  }

  validation {
    condition     = alltrue([for s in var.sources : can(regex(local.patterns.item_id, s.document))])
    error_message = <<-EOT
      Set document to an item id: 1 to 256 letters, digits, dots, underscores, tildes and hyphens, the first a letter or
      digit.
    EOT
  }

  # --- Rules about url, request and cursor

  validation {
    condition     = alltrue([for url in values(var.sources)[*].url : can(regex(local.patterns.url, url))])
    error_message = <<-EOT
      Set url to an http:// or https:// URL of printable ASCII characters, without spaces and without a fragment. Put
      user and password into secret, and placeholders only into the path or query.
    EOT
  }

  validation {
    condition     = alltrue([for url in values(var.sources)[*].url : length(url) <= 2048])
    error_message = "Set url to at most 2048 characters."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      !can(regex(local.patterns.placeholder, jsonencode([s.url, s.request])))
      if s.mode == "snapshot"
    ])
    error_message = "Remove {cursor}, {now} and {page} from a snapshot, because a snapshot is always read as a whole."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(contains(local.time_formats, s.cursor.format) || strcontains(s.cursor.format, "%"), true)
    ])
    error_message = <<-EOT
      Set cursor.format to "rfc3339", "unix_s", "unix_ms", "unix_us", "date" or "dotnet", to a pattern such as "%Y-%m-%d
      %H:%M", or leave it out to use version.format.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.zone, s.cursor.zone)) if try(s.cursor.zone, null) != null
    ])
    error_message = "Set cursor.zone to the name of a time zone, such as Europe/Berlin or UTC."
  }

  validation {
    condition     = alltrue([for s in var.sources : try(s.cursor.initial, null) != ""])
    error_message = <<-EOT
      Set cursor.initial to the text that asks the back office for all records, or leave it out to use the start of
      1970.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      strcontains(jsonencode([s.url, s.request]), "{now}")
      if try(s.cursor.window_seconds, null) != null
    ])
    error_message = <<-EOT
      Put {now} into url or request.body, or remove cursor.window_seconds, which says how much time lies between
      {cursor} and {now}.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(timeadd(s.cursor.initial, "0s"))
      if try(s.cursor.window_seconds, null) != null
    ])
    error_message = <<-EOT
      Set cursor.initial to the RFC 3339 time with which the first window begins, such as 2020-01-01T00:00:00Z.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(s.cursor.window_seconds > s.lag_seconds && s.cursor.window_seconds <= 31536000, true)
    ])
    error_message = <<-EOT
      Set cursor.window_seconds to more than lag_seconds and at most 31536000 (a year). Otherwise no window would end
      after the one before.
    EOT
  }

  # --- Rules about schedules and staleness budgets

  validation {
    condition = alltrue([
      for schedule in values(var.sources)[*].schedule :
      can(regex(local.patterns.schedule, schedule))
    ])
    error_message = <<-EOT
      Write schedule as rate(1 minute), rate(5 minutes) (also hours and days), or as cron() with six fields, for example
      cron(0 3 * * ? *). A rate is a whole number.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.schedule, s.sweep.schedule)) if try(s.sweep.schedule, null) != null
    ])
    error_message = <<-EOT
      Write sweep.schedule as rate(1 minute), rate(5 minutes) (also hours and days), or as cron() with six fields, for
      example cron(0 3 * * ? *).
    EOT
  }

  validation {
    condition = alltrue([
      for text in compact(flatten([for s in var.sources : [s.schedule, s.sweep[*].schedule]])) :
      can(regex(local.patterns.cron_values, text))
    ])
    error_message = <<-EOT
      Write the fields of cron() in schedule and sweep.schedule as EventBridge Scheduler takes them: minutes 0-59,
      hours 0-23, days 1-31, months 1-12 or JAN-DEC, weekdays 1-7 (1 is Sunday) or SUN-SAT, years 1970-2199. Each is a
      value, a range (1-5), a list (1,15), a step (0/5 or */5) or *. A day may also be ?, L, 3W, 6L or 3#2.
    EOT
  }

  validation {
    condition = alltrue([
      for text in compact(flatten([for s in var.sources : [s.schedule, s.sweep[*].schedule]])) :
      can(regex(local.patterns.cron_days, text))
    ])
    error_message = <<-EOT
      Write ? for exactly one of the two day fields of cron() in schedule and sweep.schedule: the day of the month (the
      third field) or the day of the week (the fifth). For example, cron(0 3 * * ? *) is every day, and
      cron(0 3 ? * MON *) every Monday.
    EOT
  }

  # Data is oldest just before a poll is through. That is the interval after the poll before, plus the time of a
  # request, plus a minute, because EventBridge Scheduler starts a schedule within a minute. There is a rule for each
  # unit. Terraform can't compute the interval of a cron expression, so it takes the shortest one, a minute.
  validation {
    condition = alltrue([
      for s in var.sources :
      s.staleness_budget - s.timeout_seconds - 60 >= 60 * try(regex("(\\d+) minute", s.schedule)[0], 1)
    ])
    error_message = <<-EOT
      Set staleness_budget to at least the seconds between two polls plus timeout_seconds plus 60, for example to
      130 for rate(1 minute) and 10 seconds. Otherwise data would often be stale before the next poll refreshes it.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.staleness_budget - s.timeout_seconds - 60 >= 3600 * try(regex("(\\d+) hour", s.schedule)[0], 0)
    ])
    error_message = <<-EOT
      Set staleness_budget to at least the seconds between two polls plus timeout_seconds plus 60, for example to
      3670 for rate(1 hour) and 10 seconds. Otherwise data would often be stale before the next poll refreshes it.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.staleness_budget - s.timeout_seconds - 60 >= 86400 * try(regex("(\\d+) day", s.schedule)[0], 0)
    ])
    error_message = <<-EOT
      Set staleness_budget to at least the seconds between two polls plus timeout_seconds plus 60, for example to
      86470 for rate(1 day) and 10 seconds. Otherwise data would often be stale before the next poll refreshes it.
    EOT
  }

  validation {
    condition = alltrue([
      for n in values(var.sources)[*].staleness_budget :
      n >= 1 && n <= 31536000 && floor(n) == n
    ])
    error_message = "Set staleness_budget to whole seconds from 1 to 31536000 (a year)."
  }

  # --- Rules about paging.delta. The other rules about paging stand in rules_sources.tf.

  validation {
    condition = alltrue([
      for s in var.sources :
      s.paging.style == "link" && !strcontains(jsonencode([s.url, s.request]), "{cursor}")
      if s.paging.delta != null
    ])
    error_message = <<-EOT
      Set paging.delta only with the style "link" and without {cursor}, because the next pass begins with the link that
      it finds.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : s.deletes.paging.delta == null if s.deletes != null])
    error_message = "Remove delta from deletes.paging. Put {cursor} into deletes.url."
  }

  # --- Rules about limits

  validation {
    condition     = alltrue([for n in values(var.sources)[*].lag_seconds : n >= 0 && n <= 604800])
    error_message = "Set lag_seconds to 0 to 604800. It says how late the back office may show a change."
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].timeout_seconds : n >= 0.1 && n <= 120])
    error_message = "Set timeout_seconds, the time of one request, to 0.1 to 120."
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].attempts : n >= 1 && n <= 10 && floor(n) == n])
    error_message = "Set attempts to a whole number from 1 to 10."
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].max_pages : n >= 1 && n <= 100000 && floor(n) == n])
    error_message = <<-EOT
      Set max_pages to a whole number from 1 to 100000. The next run of `poll` reads the pages that are left.
    EOT
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].max_seconds : n >= 1 && n <= 840])
    error_message = "Set max_seconds to 1 to 840. The next run of `poll` reads the pages that are left."
  }

  validation {
    condition     = alltrue([for s in var.sources : s.timeout_seconds <= s.max_seconds])
    error_message = "Set timeout_seconds to at most max_seconds."
  }

  # The timeout of `poll` must be at least 5 seconds longer than max_seconds and timeout_seconds together. A request
  # that starts just before max_seconds have passed may still take its whole timeout_seconds. After that, `poll` needs
  # time to put the records on the change stream and to save its checkpoint.
  validation {
    condition = alltrue([
      for s in var.sources :
      s.max_seconds + s.timeout_seconds + 5 <= var.functions.poll.timeout_seconds
    ])
    error_message = <<-EOT
      Set max_seconds and timeout_seconds together to at least 5 seconds less than functions.poll.timeout_seconds.
      Otherwise Lambda could stop `poll` before it has saved its checkpoint.
    EOT
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].requests_per_second : n >= 0.01 && n <= 1000 if n != null])
    error_message = "Set requests_per_second to 0.01 to 1000, or leave it out for no limit."
  }

  # A response may have at most 64 MiB, because `poll` holds the whole response in memory, together with the changes
  # that it makes from the response.
  validation {
    condition     = alltrue([for n in values(var.sources)[*].max_bytes : n >= 1024 && n <= 67108864 && floor(n) == n])
    error_message = "Set max_bytes, the size of the largest response, to a whole number from 1024 to 67108864 (64 MiB)."
  }

  # `poll` needs 72 MB of memory for each MiB of max_bytes. It keeps a response and its changes in memory until Kinesis
  # has accepted all of the changes. Measurements show that both together take up to 20 times the size of the response
  # if its rows have 80 bytes each, and up to 70 times if each row is a single short number.
  validation {
    condition = alltrue([
      for n in values(var.sources)[*].max_bytes :
      100 + 72 * ceil(n / 1048576) <= var.functions.poll.memory_mb
    ])
    error_message = <<-EOT
      Set functions.poll.memory_mb to at least 100 plus 72 for each MiB of max_bytes (676 for 8 MiB), or lower
      max_bytes. Otherwise a large response would end every poll for lack of memory.
    EOT
  }

  # A snapshot may have at most 9 MiB, because API Gateway returns at most 10 MB, and the published document is slightly
  # larger than the payload from the back office.
  validation {
    condition     = alltrue([for s in var.sources : s.max_bytes <= 9437184 if s.mode == "snapshot"])
    error_message = <<-EOT
      Set max_bytes of a snapshot to at most 9437184 (9 MiB), because API Gateway can't return a larger document.
    EOT
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].breaker.failures : n >= 1 && n <= 1000 && floor(n) == n])
    error_message = "Set breaker.failures to a whole number from 1 to 1000."
  }

  validation {
    condition     = alltrue([for n in values(var.sources)[*].breaker.cooldown_seconds : n >= 0 && n <= 86400])
    error_message = "Set breaker.cooldown_seconds to 0 to 86400."
  }

  # --- Rules about sweeps

  validation {
    condition = alltrue([
      for s in var.sources :
      s.sweep.max_deletes_percent >= 0 && s.sweep.max_deletes_percent <= 100 if s.sweep != null
    ])
    error_message = <<-EOT
      Set sweep.max_deletes_percent to 0 to 100. A sweep deletes nothing if more of the collection is missing.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.url, s.sweep.url)) if try(s.sweep.url, null) != null
    ])
    error_message = <<-EOT
      Set sweep.url to an http:// or https:// URL of printable ASCII characters, without spaces, user, password and
      fragment.
    EOT
  }

  validation {
    condition     = alltrue([for s in var.sources : try(length(s.sweep.url) <= 2048, true)])
    error_message = "Set sweep.url to at most 2048 characters."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.order != null
      if strcontains(jsonencode([s.sweep[*].url, s.sweep[*].request]), "{cursor}")
    ])
    error_message = <<-EOT
      Remove {cursor} from sweep, because a sweep lists everything, or set order. With order, a sweep goes on from the
      newest record if the back office returns no further pages.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(regex(local.patterns.origin, lower(s.sweep.url)) == regex(local.patterns.origin, lower(s.url)), true)
    ])
    error_message = "Give sweep.url the scheme, host and port of url, because a sweep sends the same secret."
  }

  validation {
    condition     = alltrue([for s in var.sources : s.sweep.schedule != null if try(s.sweep.url, null) != null])
    error_message = "Remove sweep.url from a source without sweep.schedule, because no sweep runs."
  }

  validation {
    condition     = alltrue([for s in var.sources : s.sweep.url != null if try(s.sweep.request, null) != null])
    error_message = <<-EOT
      Set sweep.url, or remove sweep.request. Without sweep.url, a sweep uses url and request of the source.
    EOT
  }

  # --- Rules about lists of deleted records

  validation {
    condition = alltrue([
      for s in var.sources :
      s.version != null || s.function != null
      if s.deletes != null && s.mode == "changes"
    ])
    error_message = "Set version, or remove deletes. A record's time decides whether it is newer than its deletion."
  }

  validation {
    condition     = alltrue([for s in var.sources : !contains(local.owned, s.collection) if s.deletes != null])
    error_message = <<-EOT
      Remove deletes from sources of owner collections, because a deleted record doesn't say whose item it was. Set
      deleted.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(trimspace(s.deletes.records) != "" && trimspace(s.deletes.id) != "", false)
      if s.deletes != null
    ])
    error_message = "Set deletes.records and deletes.id to JMESPath expressions."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.url, s.deletes.url)) && length(s.deletes.url) <= 2048
      if s.deletes != null
    ])
    error_message = <<-EOT
      Set deletes.url to an http:// or https:// URL of at most 2048 printable ASCII characters, without spaces, user,
      password and fragment.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(regex(local.patterns.origin, lower(s.deletes.url)) == regex(local.patterns.origin, lower(s.url)), true)
    ])
    error_message = "Give deletes.url the scheme, host and port of url, because the list is read with the same secret."
  }

  # --- Rules about headers and secrets

  validation {
    condition = alltrue([
      for header in keys(merge(values(var.sources)[*].headers...)) :
      can(regex(local.patterns.header, header))
    ])
    error_message = "Name headers as HTTP does: 1 to 100 letters, digits and !#$%&'*+.^_`|~-."
  }

  validation {
    condition = alltrue([
      for value in flatten([for s in var.sources : values(s.headers)]) :
      can(regex(local.patterns.header_value, value))
    ])
    error_message = "Set headers to values of printable ASCII characters, the first and the last no space."
  }

  validation {
    condition = alltrue([
      for value in flatten([for s in var.sources : values(s.headers)]) :
      !can(regex(local.patterns.placeholder, value))
    ])
    error_message = "Remove {cursor}, {now} and {page} from headers. `poll` replaces them only in url and request.body."
  }

  validation {
    condition     = alltrue([for value in flatten([for s in var.sources : values(s.headers)]) : length(value) <= 2048])
    error_message = "Set headers to values of at most 2048 characters."
  }

  validation {
    condition = alltrue([
      for header in keys(merge(values(var.sources)[*].headers...)) :
      !can(regex(local.patterns.credential_header, header))
    ])
    error_message = <<-EOT
      Put headers that carry a credential, such as Authorization, Cookie, X-Api-Key and X-Auth-Token, into secret,
      because everybody who may read the plan or the state can read headers. If the value of such a header isn't
      confidential, secret can send it too: name an SSM parameter.
    EOT
  }

  validation {
    condition = alltrue([
      for value in flatten([for s in var.sources : values(s.headers)]) :
      !can(regex(local.credential_value, value))
    ])
    error_message = <<-EOT
      Put the value of a header that is a credential, such as "Bearer …", "Basic …", a token or a key, into secret,
      because everybody who may read the plan or the state can read headers.
    EOT
  }

  validation {
    condition = alltrue([
      for value in flatten([for s in var.sources : values(s.headers)]) :
      !can(regex(local.patterns.random, value))
    ])
    error_message = <<-EOT
      Put the value of a header that looks like a key (32 or more letters and digits in a row) into secret, because
      everybody who may read the plan or the state can read headers. If it isn't confidential, secret can send it too:
      name an SSM parameter.
    EOT
  }

  validation {
    condition = alltrue([
      for header in keys(merge(values(var.sources)[*].headers...)) :
      !contains(local.request_headers, lower(header))
    ])
    error_message = <<-EOT
      Remove the headers that `poll` sets itself from headers, such as Host, User-Agent, Accept-Encoding, Range and
      If-None-Match.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      length(distinct([for name in keys(s.headers) : lower(name)])) == length(s.headers)
    ])
    error_message = "Name each header once in headers. The case of letters makes no difference."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      length(compact([s.secret.header, s.secret.query, s.secret.basic_username])) == 1
      if s.secret != null
    ])
    error_message = <<-EOT
      Set exactly one of secret.header, secret.query and secret.basic_username, to tell `poll` where the back office
      expects the secret.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.username, s.secret.basic_username))
      if try(s.secret.basic_username, null) != null
    ])
    error_message = "Set secret.basic_username to a user name without a colon."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.secret.format == "{secret}"
      if try(s.secret.basic_username, null) != null
    ])
    error_message = <<-EOT
      Leave secret.format out if secret.basic_username is set. HTTP Basic authentication has a form of its own.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.parameter, s.secret.query)) if try(s.secret.query, null) != null
    ])
    error_message = <<-EOT
      Set secret.query to the name of a query parameter: 1 to 100 printable characters without spaces.
    EOT
  }

  # `poll` sets both parameters in the same query. It removes the secret's parameter from the link to a next page.
  validation {
    condition = alltrue([
      for s in var.sources :
      try(!contains(compact([s.paging.parameter, try(s.deletes.paging.parameter, "")]), s.secret.query), true)
    ])
    error_message = "Set secret.query to another parameter than paging.parameter."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      !contains([for name in keys(s.headers) : lower(name)], try(lower(s.secret.header), ""))
    ])
    error_message = "Remove the header of the secret from headers. The case of letters makes no difference."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.header, s.secret.header)) if try(s.secret.header, null) != null
    ])
    error_message = "Name secret.header as HTTP does: 1 to 100 letters, digits and !#$%&'*+.^_`|~-."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      !contains(local.request_headers, lower(s.secret.header)) if try(s.secret.header, null) != null
    ])
    error_message = "Set secret.header to a header that `poll` doesn't set itself, such as Authorization or X-Api-Key."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.header_value, s.secret.format)) if s.secret != null
    ])
    error_message = "Set secret.format to printable ASCII characters, the first and the last no space."
  }

  validation {
    condition     = alltrue([for s in var.sources : try(length(s.secret.format) <= 2048, true)])
    error_message = "Set secret.format to at most 2048 characters."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      length(split("{secret}", s.secret.format)) == 2 if s.secret != null
    ])
    error_message = "Put {secret} into secret.format once, for example \"Bearer {secret}\"."
  }

  validation {
    condition     = alltrue([for s in var.sources : try(s.secret.field, null) != ""])
    error_message = <<-EOT
      Set secret.field to the name of a field of the secret's JSON, or leave it out to send the whole secret.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      var.poll.vpc != null || can(regex(local.patterns.secret_url, s.url)) if s.secret != null || s.oauth2 != null
    ])
    error_message = <<-EOT
      Use https for a source with a secret or oauth2, or set poll.vpc if the way to the back office is private. Others
      could read a secret that is sent by plain HTTP.
    EOT
  }

  # --- Rules about OAuth 2 and TLS

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.url, s.oauth2.token_url)) && length(s.oauth2.token_url) <= 2048
      if s.oauth2 != null
    ])
    error_message = <<-EOT
      Set oauth2.token_url to a URL of at most 2048 printable ASCII characters, without spaces, user, password and
      fragment.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.secret_url, s.oauth2.token_url))
      if s.oauth2 != null
    ])
    error_message = "Use https for oauth2.token_url, because the client's secret is sent there."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      !can(regex("[{}]", s.oauth2.token_url))
      if s.oauth2 != null
    ])
    error_message = "Remove placeholders from oauth2.token_url. Write braces as %7B and %7D."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      contains(local.grants, s.oauth2.grant)
      if s.oauth2 != null
    ])
    error_message = "Set oauth2.grant to \"client_credentials\" or \"refresh_token\"."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      contains(local.client_authentications, s.oauth2.client_authentication)
      if s.oauth2 != null
    ])
    error_message = "Set oauth2.client_authentication to \"basic\" or \"body\"."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(trimspace(s.oauth2.client_id) != "", false) && try(trimspace(s.oauth2.scope) != "", true)
      if s.oauth2 != null
    ])
    error_message = "Set oauth2.client_id to the id of the client, and oauth2.scope to a scope or leave it out."
  }

  validation {
    condition = alltrue([
      for name in flatten([for s in var.sources : keys(try(s.oauth2.parameters, {}))]) :
      !contains(local.token_parameters, lower(name))
    ])
    error_message = <<-EOT
      Remove client_id, client_secret, grant_type, password, refresh_token, scope and username from oauth2.parameters.
      The other settings of oauth2 set what is needed.
    EOT
  }

  validation {
    condition = alltrue([
      for secret in flatten([for s in var.sources : [s.oauth2[*].secret, s.tls[*].client_certificate]]) :
      try(secret.field, null) != ""
    ])
    error_message = <<-EOT
      Set field of oauth2.secret and tls.client_certificate to the name of a field of the stored JSON, or leave it out.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.oauth2.secret.field == null
      if try(s.oauth2.grant, "") == "refresh_token"
    ])
    error_message = <<-EOT
      Remove oauth2.secret.field for the grant refresh_token, because `poll` reads the fields refresh_token and
      client_secret.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(s.secret.basic_username, null) == null
      if s.oauth2 != null
    ])
    error_message = <<-EOT
      Remove secret.basic_username, because oauth2 sends its token in the same header, Authorization.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      try(lower(s.secret.header) != "authorization", true)
      if s.oauth2 != null
    ])
    error_message = <<-EOT
      Set secret.header to another header than Authorization, because oauth2 sends its token there.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      s.tls.ca_pem != null || s.tls.client_certificate != null
      if s.tls != null
    ])
    error_message = "Set tls.ca_pem or tls.client_certificate, or remove tls."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      startswith(lower(s.url), "https://")
      if s.tls != null
    ])
    error_message = "Use https for a source with tls, because plain HTTP has no certificates."
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      can(regex(local.patterns.certificates, s.tls.ca_pem))
      if try(s.tls.ca_pem, null) != null
    ])
    error_message = <<-EOT
      Set tls.ca_pem to certificates as PEM text, which begins with -----BEGIN CERTIFICATE-----.
    EOT
  }

  validation {
    condition = alltrue([
      for s in var.sources :
      !try(strcontains(s.tls.ca_pem, "PRIVATE KEY"), false)
    ])
    error_message = <<-EOT
      Remove the private key from tls.ca_pem, because everybody who may read the plan or the state can read it.
    EOT
  }

  # --- Rules about concurrency

  # Reserve one execution of `poll` for each source and one for the freshness report, because all of them may run at the
  # same time. Lambda throttles every invocation for which no execution is free, and drops its event if it can't start
  # `poll` within a minute.
  validation {
    condition     = coalesce(var.functions.poll.reserved_concurrency, 1000) >= length(var.sources) + 1
    error_message = "Set functions.poll.reserved_concurrency to at least one more than there are sources, or to null."
  }
}

variable "change_stream" {
  description = <<-EOT
    The Kinesis stream that carries changes from `poll` to `apply-stream`. The stack has one only if there is a source.
  EOT
  type = object({
    # Whether Kinesis chooses the number of shards, which costs 30 to 40 $ a month even if the stream is idle.
    on_demand = optional(bool, false)
    # Number of shards. A shard accepts 1,000 records or 1 MB a second. It costs 11 to 15 $ a month, depending on the
    # Region, used or not.
    shards                 = optional(number, 1)
    retention_hours        = optional(number, 24)  # hours for which the stream keeps a record
    parallelization_factor = optional(number, 2)   # batches of one shard that are applied at once
    batch_size             = optional(number, 500) # largest number of records in a batch
    # Refuse to delete the change stream and the checkpoint table, which go with the last source. Set it to false and
    # run `terraform apply` before you remove the last source. null: as the variable deletion_protection.
    deletion_protection = optional(bool)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for n in [var.change_stream.shards] : n >= 1 && n <= 200 && floor(n) == n])
    error_message = "Set change_stream.shards to a whole number from 1 to 200."
  }

  validation {
    condition     = alltrue([for n in [var.change_stream.retention_hours] : n >= 24 && n <= 8760 && floor(n) == n])
    error_message = <<-EOT
      Set change_stream.retention_hours to a whole number from 24 to 8760, because Kinesis allows no other. More than 24
      hours cost extra.
    EOT
  }

  validation {
    condition     = contains(range(1, 11), var.change_stream.parallelization_factor)
    error_message = <<-EOT
      Set change_stream.parallelization_factor to a whole number from 1 to 10, because Lambda allows no other.
    EOT
  }

  validation {
    condition     = alltrue([for n in [var.change_stream.batch_size] : n >= 1 && n <= 10000 && floor(n) == n])
    error_message = "Set change_stream.batch_size to a whole number from 1 to 10000, because Lambda allows no other."
  }

  # An on-demand stream grows by itself, so this rule is for a number of shards that somebody chose. With fewer
  # executions, Lambda would throttle some shards. It would lose nothing, but changes would wait for each other.
  validation {
    condition = (
      var.change_stream.on_demand
      || local.apply_stream_executions >= var.change_stream.shards * var.change_stream.parallelization_factor
    )
    error_message = <<-EOT
      Set functions.apply_stream.reserved_concurrency to null, or to at least change_stream.shards times
      change_stream.parallelization_factor, so that every shard has its executions.
    EOT
  }
}

locals {
  # How many executions `apply-stream` can have at once. 2000 are enough for the largest stream.
  apply_stream_executions = length(var.sources) == 0 ? 2000 : coalesce(
    var.functions.apply_stream.reserved_concurrency, 2000
  )

  # Whether Terraform refuses to delete the change stream and the checkpoint table.
  change_stream_protected = length(var.sources) > 0 && (
    coalesce(var.change_stream.deletion_protection, var.deletion_protection)
  )
}

variable "poll" {
  description = "The Regions and the networks in which `poll` runs."
  type = object({
    # A VPC, for back offices that are private; null: `poll` runs outside any VPC.
    vpc = optional(object({
      subnet_ids         = list(string) # subnets, better two, in two availability zones
      security_group_ids = list(string) # security groups
    }))
    # Make `poll` and a change stream in the replica Region too, so that `ops/readplane sources move` can let that
    # Region poll if the primary Region is lost. It costs as much as change_stream does, used or not.
    in_replica = optional(bool, false)
    # The same as vpc, in the replica Region.
    replica_vpc = optional(object({
      subnet_ids         = list(string) # subnets, better two, in two availability zones
      security_group_ids = list(string) # security groups
    }))
  })
  default  = {}
  nullable = false

  validation {
    condition = var.poll.vpc == null || try(
      length(var.poll.vpc.subnet_ids) >= 1 && length(var.poll.vpc.security_group_ids) >= 1, false
    )
    error_message = <<-EOT
      Name at least one subnet (better two, in two availability zones) and one security group in poll.vpc, or leave it
      out.
    EOT
  }

  validation {
    condition     = alltrue([for id in try(var.poll.vpc.subnet_ids, []) : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "Set poll.vpc.subnet_ids to ids of subnets, such as subnet-0123456789abcdef0."
  }

  validation {
    condition     = alltrue([for id in try(var.poll.vpc.security_group_ids, []) : can(regex("^sg-[0-9a-f]+$", id))])
    error_message = "Set poll.vpc.security_group_ids to ids of security groups, such as sg-0123456789abcdef0."
  }

  validation {
    condition     = !var.poll.in_replica || local.names_replica
    error_message = "Set replica.region, or leave out poll.in_replica, because there is no other Region to poll in."
  }

  # A back office that only a VPC reaches would be out of reach for the Region that takes it over.
  validation {
    condition     = (var.poll.replica_vpc != null) == (var.poll.in_replica && var.poll.vpc != null)
    error_message = <<-EOT
      Set poll.replica_vpc if poll.vpc and poll.in_replica are set, and only then. Without it, `poll` in the replica
      Region couldn't reach a private back office.
    EOT
  }

  validation {
    condition = var.poll.replica_vpc == null || try(
      length(var.poll.replica_vpc.subnet_ids) >= 1 && length(var.poll.replica_vpc.security_group_ids) >= 1, false
    )
    error_message = <<-EOT
      Name at least one subnet (better two, in two availability zones) and one security group in poll.replica_vpc.
    EOT
  }

  validation {
    condition     = alltrue([for id in try(var.poll.replica_vpc.subnet_ids, []) : can(regex("^subnet-[0-9a-f]+$", id))])
    error_message = "Set poll.replica_vpc.subnet_ids to ids of subnets, such as subnet-0123456789abcdef0."
  }

  validation {
    condition = alltrue([
      for id in try(var.poll.replica_vpc.security_group_ids, []) : can(regex("^sg-[0-9a-f]+$", id))
    ])
    error_message = "Set poll.replica_vpc.security_group_ids to ids of security groups, such as sg-0123456789abcdef0."
  }
}
