# The settings of the back offices that `poll` polls. `terraform plan` checks whatever Terraform can check without a
# call. During `terraform apply`, Terraform invokes `poll`, which checks the rest (JMESPath expressions, and whether a
# named function exists). Terraform creates the schedules only after this check (modules/poll).

variable "sources" {
  description = <<-EOT
    Source name -> the back office to poll, its schedule, and the collection that the source feeds. If sources is null
    or empty, Terraform creates neither the change stream nor `poll`.
  EOT
  type = map(object({
    mode             = string # changes: `poll` reads a list of records; snapshot: it publishes one payload unchanged
    collection       = string
    schedule         = string # EventBridge Scheduler expression: rate(…) or cron(…)
    staleness_budget = number # in seconds; if the data is older, responses say so and an alarm fires

    url     = string # may contain {cursor}, which `poll` replaces with the time from which it asks for changes
    headers = optional(map(string), {})
    secret = optional(object({
      arn         = string # ARN of a Secrets Manager secret or an SSM parameter
      header      = string
      format      = optional(string, "{secret}")
      field       = optional(string) # field that holds the secret, if the stored value is a JSON object
      kms_key_arn = optional(string) # KMS key that encrypts the secret; null means the key that AWS manages
    }))

    # The next six fields are JMESPath expressions. `records` finds the list of records in a response. `poll` evaluates
    # the others on each record: `id` finds the item's id, `deleted` whether the record is deleted, and `owner` the user
    # whose item it is. `version` finds the record's modification time, which must have the format rfc3339, unix_s or
    # unix_ms. `translation` builds the item's data.
    records     = optional(string)
    id          = optional(string)
    version     = optional(object({ expression = string, format = string }))
    deleted     = optional(string)
    owner       = optional(string)
    translation = optional(string)
    function    = optional(string) # instead of the expressions: readplane.poll.source.functions.<module>:<name>

    cursor = optional(object({ format = optional(string), initial = optional(string) }))
    paging = optional(object({
      style     = optional(string, "none") # none, link, page, offset or token
      next      = optional(string)         # JMESPath of the next page's URL or token; null: the response's Link header
      parameter = optional(string)
      first     = optional(number, 1)
      size      = optional(number)
    }), {})

    lag_seconds         = optional(number, 60)
    timeout_seconds     = optional(number, 10)
    attempts            = optional(number, 3)
    max_pages           = optional(number, 100)
    max_seconds         = optional(number, 45)
    requests_per_second = optional(number)
    max_bytes           = optional(number, 8388608)
    breaker             = optional(object({ failures = optional(number, 5), cooldown_seconds = optional(number, 30) }), {})

    sweep    = optional(object({ schedule = string, url = optional(string), max_deletes_percent = optional(number, 10) }))
    document = optional(string, "current") # item id under which `poll` publishes a snapshot
  }))
  default  = {}
  nullable = false

  # Each source adds to the environment variables of `read`, to the policy of `poll` and to the input of the schedule
  # `freshness`. AWS limits the size of all three, so a stack can have at most 20 sources.
  validation {
    condition     = length(var.sources) <= 20
    error_message = "Declare at most 20 sources; split the rest into a second stack."
  }

  # API Gateway allows 300 resources per API. A collection uses up to six of them, a source two and a backend two. All
  # other paths together, the root included, use up to seven.
  validation {
    condition     = 6 * length(var.collections) + 2 * length(var.sources) + 2 * length(var.backends) + 7 <= 300
    error_message = "Declare fewer collections, sources or backends: the API would have more than the 300 resources that API Gateway allows."
  }

  validation {
    condition     = alltrue([for name in keys(var.sources) : can(regex("^[a-z][a-z0-9-]{0,39}$", name))])
    error_message = "Name sources with 1 to 40 lower-case letters, digits and hyphens, the first a letter: the name is part of paths, keys and schedules."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : contains(["changes", "snapshot"], s.mode)])
    error_message = "Set each source's mode to \"changes\" or \"snapshot\"."
  }

  # --- Rules about the collection that a source feeds

  validation {
    condition     = alltrue([for s in values(var.sources) : contains(keys(var.collections), s.collection)])
    error_message = "Declare the collection of each source in collections: that says who reads what the source delivers."
  }

  validation {
    condition     = length(distinct([for s in values(var.sources) : s.collection])) == length(var.sources)
    error_message = "Give each source a collection of its own: two sources would delete and overwrite each other's items."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : length(try(var.collections[s.collection].write_groups, [])) == 0])
    error_message = "Remove write_groups from collections that a source feeds: a collection is fed either by clients or by one source."
  }

  validation {
    condition = alltrue([for s in values(var.sources) : s.mode != "changes" || s.function != null || (
      (s.owner != null) == (try(var.collections[s.collection].read, "") == "owner")
    )])
    error_message = "Set owner (whose item a record is) where the source's collection is an owner collection, and nowhere else."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.sweep == null || try(var.collections[s.collection].read, "") != "owner"])
    error_message = "Remove sweep from sources of owner collections: a listing of all owners can't be told complete. Have the back office mark what is deleted (deleted)."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.mode != "snapshot" || try(var.collections[s.collection].read, "") != "owner"])
    error_message = "Choose a public or authenticated collection for a snapshot: it has no owner."
  }

  # API Gateway caches a response together with its header Readplane-Stale. If cache_ttl exceeded the staleness budget,
  # a cached response could still say that its data is fresh when the data is older than the budget.
  validation {
    condition     = alltrue([for s in values(var.sources) : try(var.collections[s.collection].cache_ttl, 0) <= s.staleness_budget])
    error_message = "Set cache_ttl of a collection that a source feeds to no more than the source's staleness_budget: cached answers would go on saying that they are fresh."
  }

  # --- Rules about the fields that a mode requires or excludes

  validation {
    condition     = alltrue([for s in values(var.sources) : s.mode != "changes" || s.function != null || (s.records != null && s.id != null && s.translation != null)])
    error_message = "Set records, id and translation for a source of changes, or a function that does it all."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.function == null || (s.records == null && s.id == null && s.version == null && s.deleted == null && s.owner == null && s.translation == null && s.paging.next == null)])
    error_message = "Remove records, id, version, deleted, owner, translation and paging.next where a function reads the answers."
  }

  validation {
    condition = alltrue([for s in values(var.sources) : s.mode != "snapshot" || (
      s.records == null && s.id == null && s.version == null && s.deleted == null && s.owner == null && s.translation == null && s.function == null
      && s.cursor == null && s.sweep == null && s.paging.style == "none"
    )])
    error_message = "Remove expressions, function, cursor, paging and sweep from a snapshot: its payload is published as it came."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : alltrue([for text in [s.records, s.id, try(s.version.expression, null), s.deleted, s.owner, s.translation, s.paging.next] : text == null || trimspace(coalesce(text, " ")) != ""])])
    error_message = "Write a JMESPath expression, or leave the field out: an empty one finds nothing."
  }

  validation {
    condition = alltrue([
      for s in values(var.sources) :
      can(regex("^readplane\\.poll\\.source\\.functions(\\.[a-z_][a-z0-9_]*)+:[A-Za-z][A-Za-z0-9_]*$", s.function))
      if s.function != null
    ])
    error_message = join("", [
      "Name a function as readplane.poll.source.functions.<module>:<name>: ",
      "no other module of the package is called.",
    ])
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.version == null || contains(["rfc3339", "unix_s", "unix_ms"], try(s.version.format, ""))])
    error_message = "Set version.format to \"rfc3339\", \"unix_s\" or \"unix_ms\"."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : can(regex("^[A-Za-z0-9][A-Za-z0-9._~-]{0,255}$", s.document))])
    error_message = "Set document to an item's id: 1 to 256 letters, digits, dots, underscores, tildes and hyphens, the first a letter or digit."
  }

  # --- Rules about url and cursor

  validation {
    condition     = alltrue([for url in concat(values(var.sources)[*].url, [for s in values(var.sources) : s.sweep.url if try(s.sweep.url, null) != null]) : length(url) <= 2048 && can(regex("^https?://[^\\s/?#@{}]+([/?][^\\s#]*)?$", url))])
    error_message = "Give url and sweep.url as http://… or https://… without spaces, fragment, user and password (those belong into secret), {cursor} in path or query only."
  }

  validation {
    condition     = alltrue([for url in concat(values(var.sources)[*].url, [for s in values(var.sources) : s.sweep.url if try(s.sweep.url, null) != null]) : length(regexall("[{}]", replace(url, "{cursor}", ""))) == 0])
    error_message = "Use no placeholder but {cursor} in url; write other braces as %7B and %7D."
  }

  # `poll` replaces {cursor} with a time that it takes from the records' modification times. So a source whose
  # url contains {cursor} needs the field version, or a Python function that returns the modification times. Terraform
  # can't see whether the function returns them; only `poll` can check that.
  validation {
    condition     = alltrue([for s in values(var.sources) : !strcontains(s.url, "{cursor}") || (s.mode != "snapshot" && (s.version != null || s.function != null))])
    error_message = "Remove {cursor} from the url, or set version: without the records' modification times there is no point to go on from."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.cursor == null || strcontains(s.url, "{cursor}")])
    error_message = "Put {cursor} into the url, or remove cursor: it says how {cursor} is written."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : try(s.cursor.format, null) == null || contains(["rfc3339", "unix_s", "unix_ms"], coalesce(try(s.cursor.format, null), "none"))])
    error_message = "Set cursor.format to \"rfc3339\", \"unix_s\" or \"unix_ms\", or leave it out: version.format counts."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.function == null || !strcontains(s.url, "{cursor}") || try(s.cursor.format, null) != null])
    error_message = "Set cursor.format where a function reads the answers and the url holds {cursor}."
  }

  # --- Rules about schedules and staleness budgets

  validation {
    condition     = alltrue([for schedule in concat(values(var.sources)[*].schedule, [for s in values(var.sources) : s.sweep.schedule if s.sweep != null]) : can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\(([^ ()]+ ){5}[^ ()]+\\))$", schedule))])
    error_message = "Write schedule and sweep.schedule as rate(1 minute), rate(5 minutes) (also hours and days), or cron() with six fields, for example cron(0 3 * * ? *)."
  }

  # Check staleness_budget only against a rate(…) schedule, because Terraform can't compute the interval of a cron
  # expression.
  validation {
    condition = alltrue([for s in values(var.sources) : s.staleness_budget > (
      tonumber(regex("[0-9]+", s.schedule)) * { minute = 60, hour = 3600, day = 86400 }[regex("minute|hour|day", s.schedule)]
    ) if can(regex("^rate\\([1-9][0-9]* (minute|hour|day)s?\\)$", s.schedule))])
    error_message = "Set staleness_budget to more seconds than lie between two polls: data would be called stale before the next poll can refresh it."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.staleness_budget >= 1 && s.staleness_budget <= 31536000 && floor(s.staleness_budget) == s.staleness_budget])
    error_message = "Set staleness_budget to whole seconds from 1 to 31536000 (a year)."
  }

  # --- Rules about paging

  validation {
    condition     = alltrue([for s in values(var.sources) : contains(["none", "link", "page", "offset", "token"], s.paging.style)])
    error_message = "Set paging.style to \"none\", \"link\", \"page\", \"offset\" or \"token\"."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : (s.paging.parameter != null) == contains(["page", "offset", "token"], s.paging.style)])
    error_message = "Set paging.parameter to the query parameter that carries page number, offset or token; leave it out with the styles none and link."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : can(regex("^[!-~]{1,100}$", s.paging.parameter)) if s.paging.parameter != null])
    error_message = "Set paging.parameter to the name of a query parameter: 1 to 100 printable characters without spaces."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.paging.style != "token" || s.paging.next != null || s.function != null])
    error_message = "Set paging.next to the JMESPath that finds the next page's token."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.paging.next == null || contains(["link", "token"], s.paging.style)])
    error_message = "Remove paging.next, or set paging.style to \"link\" or \"token\": pages and offsets are counted."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.paging.first >= 0 && s.paging.first <= 1000000 && floor(s.paging.first) == s.paging.first && coalesce(s.paging.size, 1) >= 1 && coalesce(s.paging.size, 1) <= 1000000 && floor(coalesce(s.paging.size, 1)) == coalesce(s.paging.size, 1)])
    error_message = "Set paging.first to a whole number from 0, and paging.size to a whole number from 1, each to 1000000 at most."
  }

  # --- Rules about limits

  validation {
    condition     = alltrue([for s in values(var.sources) : s.lag_seconds >= 0 && s.lag_seconds <= 604800])
    error_message = "Set lag_seconds to 0 to 604800: how late the back office may show a change."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.timeout_seconds >= 0.1 && s.timeout_seconds <= 120 && s.attempts >= 1 && s.attempts <= 10 && floor(s.attempts) == s.attempts])
    error_message = "Set timeout_seconds (of one request) to 0.1 to 120, and attempts to 1 to 10."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.max_pages >= 1 && s.max_pages <= 100000 && floor(s.max_pages) == s.max_pages && s.max_seconds >= 1 && s.max_seconds <= 840])
    error_message = "Set max_pages to 1 to 100000 and max_seconds to 1 to 840: what one run of `poll` does before it leaves the rest to the next."
  }

  # The timeout of `poll` must be at least 5 seconds longer than max_seconds and timeout_seconds together. A request
  # that starts just before max_seconds have passed may still take its whole timeout_seconds. After that, `poll` needs
  # time to put the records on the change stream and to save its checkpoint.
  validation {
    condition     = alltrue([for s in values(var.sources) : s.timeout_seconds <= s.max_seconds && s.max_seconds + s.timeout_seconds + 5 <= var.functions.poll.timeout_seconds])
    error_message = "Set timeout_seconds to at most max_seconds, and both together to at least 5 seconds less than functions.poll.timeout_seconds: `poll` would be stopped before it has kept where it was."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : coalesce(s.requests_per_second, 1) >= 0.01 && coalesce(s.requests_per_second, 1) <= 1000])
    error_message = "Set requests_per_second to 0.01 to 1000, or leave it out: no limit."
  }

  # A response may have at most 64 MiB, because `poll` holds the whole response in memory, together with the changes
  # that it makes from the response.
  validation {
    condition     = alltrue([for s in values(var.sources) : s.max_bytes >= 1024 && s.max_bytes <= 67108864 && floor(s.max_bytes) == s.max_bytes])
    error_message = "Set max_bytes to 1024 to 67108864 (64 MiB): the most that one answer may hold."
  }

  # `poll` needs 72 MB of memory for each MiB of max_bytes. It keeps a response and its changes in memory until Kinesis
  # has accepted all of the changes. Measurements show that both together take up to 20 times the size of the response
  # if its rows have 80 bytes each, and up to 70 times if each row is a single short number.
  validation {
    condition     = alltrue([for s in values(var.sources) : 100 + 72 * ceil(s.max_bytes / 1048576) <= var.functions.poll.memory_mb])
    error_message = "Set functions.poll.memory_mb to at least 100 plus 72 for each MiB of max_bytes (676 for 8 MiB), or max_bytes lower: an answer that doesn't fit would end the poll, each time anew."
  }

  # A snapshot may have at most 9 MiB, because API Gateway returns at most 10 MB, and the published document is slightly
  # larger than the payload from the back office.
  validation {
    condition     = alltrue([for s in values(var.sources) : s.mode != "snapshot" || s.max_bytes <= 9437184])
    error_message = "Set max_bytes of a snapshot to at most 9437184 (9 MiB): API Gateway couldn't hand out a larger document."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.breaker.failures >= 1 && s.breaker.failures <= 1000 && floor(s.breaker.failures) == s.breaker.failures && s.breaker.cooldown_seconds >= 0 && s.breaker.cooldown_seconds <= 86400])
    error_message = "Set breaker.failures to 1 to 1000 and breaker.cooldown_seconds to 0 to 86400."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : s.sweep.max_deletes_percent >= 0 && s.sweep.max_deletes_percent <= 100 if s.sweep != null])
    error_message = "Set sweep.max_deletes_percent to 0 to 100: a sweep in which more of the collection is missing deletes nothing."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : !strcontains(s.sweep.url, "{cursor}") && try(regex("^https?://[^/?]+", lower(s.sweep.url)) == regex("^https?://[^/?]+", lower(s.url)), false) if try(s.sweep.url, null) != null])
    error_message = "Give sweep.url the scheme, host and port of url, and no {cursor}: a sweep lists everything, with the same secret."
  }

  # --- Rules about headers and secrets

  validation {
    condition     = alltrue([for header in flatten([for s in values(var.sources) : concat(keys(s.headers), s.secret[*].header)]) : can(regex("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$", header))])
    error_message = "Name headers and secret.header as HTTP does: 1 to 100 letters, digits and !#$%&'*+.^_`|~-."
  }

  validation {
    condition     = alltrue([for value in flatten([for s in values(var.sources) : concat(values(s.headers), s.secret[*].format)]) : length(value) <= 2048 && can(regex("^[!-~]([ -~]*[!-~])?$", value))])
    error_message = "Give headers and secret.format values of printable ASCII characters, no space first or last, 2048 at most."
  }

  validation {
    condition     = alltrue([for header in flatten([for s in values(var.sources) : keys(s.headers)]) : !contains(["authorization", "proxy-authorization", "cookie", "x-api-key"], lower(header))])
    error_message = "Put Authorization, Proxy-Authorization, Cookie and X-Api-Key into secret: headers stand in the schedule and in the state for all to read."
  }

  # A source can't set the headers in this list, because they control the connection and request of `poll`, or make the
  # request conditional. `poll` itself sets the ones that it needs.
  validation {
    condition = alltrue([for header in flatten([for s in values(var.sources) : concat(keys(s.headers), s.secret[*].header)]) : !contains([
      "accept-encoding", "connection", "content-length", "expect", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
      "if-unmodified-since", "keep-alive", "range", "te", "trailer", "transfer-encoding", "upgrade", "user-agent",
    ], lower(header))])
    error_message = "Remove the headers that poll sets itself (Host, User-Agent, Accept-Encoding, Range, If-None-Match and the like) from headers and secret."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : length(distinct([for header in concat(keys(s.headers), s.secret[*].header) : lower(header)])) == length(s.headers) + length(s.secret[*])])
    error_message = "Name each header once, in whatever case, in headers and secret together."
  }

  # A secret must be in the primary Region, where `poll` runs, because Secrets Manager and SSM look up a secret in the
  # Region in which they are called, whatever Region the secret's ARN names.
  validation {
    condition     = alltrue([for s in values(var.sources) : can(regex("^arn:aws[a-z-]*:(secretsmanager:${var.region}:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+|ssm:${var.region}:[0-9]{12}:parameter/[A-Za-z0-9/_.-]+)$", s.secret.arn)) if s.secret != null])
    error_message = "Give secret.arn as the whole ARN of one Secrets Manager secret (with its six last characters) or SSM parameter in region, without wildcards."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : can(regex("^arn:aws[a-z-]*:kms:${var.region}:[0-9]{12}:key/[A-Za-z0-9-]+$", s.secret.kms_key_arn)) if try(s.secret.kms_key_arn, null) != null])
    error_message = "Give secret.kms_key_arn as the ARN of a key (not of an alias) in region, or leave it out where AWS's own key encrypts the secret."
  }

  validation {
    condition     = alltrue([for s in values(var.sources) : length(split("{secret}", s.secret.format)) == 2 if s.secret != null])
    error_message = "Put {secret} into secret.format once, for example \"Bearer {secret}\"."
  }

  validation {
    condition = alltrue([
      for s in values(var.sources) :
      startswith(lower(s.url), "https://") || can(regex("^http://localhost[:/?]", lower(s.url))) || var.poll.vpc != null
      if s.secret != null
    ])
    error_message = join(" ", [
      "Use https for a source with a secret, or set poll.vpc where the way to it is private:",
      "over plain HTTP the secret could be read on the way.",
    ])
  }

  # Reserve one execution of `poll` for each source and one for the freshness report, because all of them may run at the
  # same time. Lambda throttles every invocation for which no execution is free, and drops its event if it can't start
  # `poll` within a minute.
  validation {
    condition     = coalesce(var.functions.poll.reserved_concurrency, 1000) >= length(var.sources) + 1
    error_message = "Set functions.poll.reserved_concurrency to at least one more than there are sources, or null."
  }
}

variable "change_stream" {
  description = <<-EOT
    The Kinesis stream that carries changes from `poll` to `apply`.
    shards: number of shards. A shard accepts 1,000 records or 1 MB a second. It costs 11 to 15 $ a month, depending on
    the Region, used or not.
    on_demand: true lets Kinesis choose the number of shards, which costs 30 to 40 $ a month even if the stream is idle.
    retention_hours: hours for which the stream keeps a record.
    parallelization_factor: how many batches of one shard `apply` handles at once.
    batch_size: largest number of records in a batch.
  EOT
  type = object({
    on_demand              = optional(bool, false)
    shards                 = optional(number, 1)
    retention_hours        = optional(number, 24)
    parallelization_factor = optional(number, 2)
    batch_size             = optional(number, 500)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.change_stream.shards >= 1 && var.change_stream.shards <= 200 && floor(var.change_stream.shards) == var.change_stream.shards
    error_message = "Set change_stream.shards to 1 to 200."
  }

  validation {
    condition     = var.change_stream.retention_hours >= 24 && var.change_stream.retention_hours <= 8760 && floor(var.change_stream.retention_hours) == var.change_stream.retention_hours
    error_message = "Set change_stream.retention_hours to 24 to 8760: what Kinesis allows. More than 24 costs extra."
  }

  validation {
    condition     = var.change_stream.parallelization_factor >= 1 && var.change_stream.parallelization_factor <= 10 && floor(var.change_stream.parallelization_factor) == var.change_stream.parallelization_factor
    error_message = "Set change_stream.parallelization_factor to 1 to 10: what Lambda allows."
  }

  validation {
    condition     = var.change_stream.batch_size >= 1 && var.change_stream.batch_size <= 10000 && floor(var.change_stream.batch_size) == var.change_stream.batch_size
    error_message = "Set change_stream.batch_size to 1 to 10000: what Lambda allows."
  }

  # The apply queue and the change stream both invoke `apply`. The reserved concurrency of `apply` must be enough for
  # both together, because otherwise one of them starves the other. SQS would also count a throttled delivery as a
  # failure, and in the end move the message to the dead-letter queue.
  #
  # This rule assumes that an on-demand stream has four shards, because a new on-demand stream has four.
  validation {
    condition = length(var.sources) == 0 || coalesce(var.functions.apply.reserved_concurrency, 100000) >= (
      var.write_log.apply_concurrency + (var.change_stream.on_demand ? 4 : var.change_stream.shards) * var.change_stream.parallelization_factor
    )
    error_message = "Set functions.apply.reserved_concurrency to at least write_log.apply_concurrency plus shards (4 if on_demand) times parallelization_factor, or null: queue and stream each have their share."
  }
}

variable "poll" {
  description = <<-EOT
    Network in which `poll` runs. vpc: subnets and security groups of a VPC, for back offices that are private; null
    means that `poll` runs outside any VPC.
  EOT
  type = object({
    vpc = optional(object({ subnet_ids = list(string), security_group_ids = list(string) }))
  })
  default  = {}
  nullable = false

  validation {
    condition = var.poll.vpc == null || try(
      length(var.poll.vpc.subnet_ids) >= 1 && length(var.poll.vpc.security_group_ids) >= 1, false
    )
    error_message = join(" ", [
      "Name at least one subnet (better two, in two availability zones) and one security group in poll.vpc,",
      "or leave it out.",
    ])
  }

  validation {
    condition = var.poll.vpc == null || try(alltrue(concat(
      [for id in var.poll.vpc.subnet_ids : can(regex("^subnet-[0-9a-f]+$", id))],
      [for id in var.poll.vpc.security_group_ids : can(regex("^sg-[0-9a-f]+$", id))],
    )), false)
    error_message = "Give poll.vpc.subnet_ids as subnet-… and poll.vpc.security_group_ids as sg-…."
  }
}
