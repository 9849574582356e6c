# The rules about the back offices to poll that compare something of several places, such as the paging of a source's
# list and that of its list of deleted records. They are preconditions, because they need locals that depend on the
# variable `sources`, which its own validations can't use (variables_sources.tf).
#
# Terraform checks them only after it has checked the variable, so they needn't repeat what a validation refuses.
# `ops/readplane sources check` evaluates this file without a provider, so it may refer to variables only.
locals {
  # What a source's own list, its sweep and its list of deleted records have in common.
  source_pagings  = flatten([for s in var.sources : [s.paging, s.deletes[*].paging]])
  source_versions = flatten([for s in var.sources : [s.version[*], s.deletes[*].version]])
  source_requests = [
    for request in flatten([for s in var.sources : [s.request, s.sweep[*].request, s.deletes[*].request]]) : request
    if request != null
  ]
  source_urls = compact(flatten([
    for s in var.sources : [s.url, s.sweep[*].url, s.deletes[*].url, s.oauth2[*].token_url]
  ]))

  # The lists that a source reads, each with the text in which {cursor}, {now} and {page} may stand: URL and body.
  source_lists = flatten([for s in var.sources : [
    { paging = s.paging, text = jsonencode([s.url, s.request]) },
    [
      for sweep in s.sweep[*] : { paging = s.paging, text = jsonencode([sweep.url, sweep.request]) }
      if sweep.url != null
    ],
    [for deletes in s.deletes[*] : { paging = deletes.paging, text = jsonencode([deletes.url, deletes.request]) }],
  ]])

  # How many places for a page number, offset or token each list names, and how many its style needs.
  page_places = [for list in local.source_lists : {
    given  = (list.paging.parameter != null ? 1 : 0) + (strcontains(list.text, "{page}") ? 1 : 0)
    needed = contains(local.paging_styles_with_value, list.paging.style) ? 1 : 0
  }]

  # Source name -> the sources with {cursor} in their own list, and those with {cursor} in the list of deleted records.
  sources_with_cursor = {
    for name, s in var.sources : name => s if strcontains(jsonencode([s.url, s.request]), "{cursor}")
  }
  sources_with_cursor_in_deletes = {
    for name, s in var.sources : name => s
    if strcontains(jsonencode([s.deletes[*].url, s.deletes[*].request]), "{cursor}")
  }
  names_of_sources_with_cursor = keys(merge(local.sources_with_cursor, local.sources_with_cursor_in_deletes))

  # The sources of which a pass doesn't list everything.
  names_of_partial_sources = [
    for name, s in var.sources : name
    if contains(keys(local.sources_with_cursor), name) || s.paging.delta != null
  ]

  # The formats of the times and of the cursors that have a time zone of their own.
  zoned_version_formats = [for version in local.source_versions : version.format if version.zone != null]
  zoned_cursor_formats = [
    for s in var.sources : coalesce(s.cursor.format, try(s.version.format, null), "none")
    if try(s.cursor.zone, null) != null
  ]

  # The paging that finds the next page with expressions. A function finds it itself.
  expression_pagings = flatten([for s in var.sources : [s.function == null ? [s.paging] : [], s.deletes[*].paging]])
  written_paging_expressions = flatten([
    for paging in local.source_pagings : [for field in local.paging_expressions : paging[field]]
  ])

  # The paging that says how a list of several pages ends, and the statuses that end one.
  ending_pagings = [
    for paging in local.source_pagings : paging
    if paging.more != null || paging.end_status != null || paging.max_empty_pages != null
  ]
  end_statuses = [for status in flatten(local.source_pagings[*].end_status) : status if status != null]

  # What a token request sends besides, as queries of one parameter each.
  token_queries = flatten([
    for s in var.sources : [for name, value in try(s.oauth2.parameters, {}) : "?${name}=${value}" if value != null]
  ])

  # The API keys, OAuth 2 secrets and client certificates of all sources.
  all_secrets = flatten(values(local.stored_secrets))
}

output "source_rules" {
  description = "Whether the sources break no rule of this file. A plan fails here if they do."
  value       = true

  # --- Rules about the times in records

  precondition {
    condition = alltrue([
      for version in local.source_versions :
      try(trimspace(version.expression) != "", false)
    ])
    error_message = <<-EOT
      Set version.expression to the JMESPath expression that finds a record's modification time, or leave version out.
    EOT
  }

  precondition {
    condition = alltrue([
      for version in local.source_versions :
      try(contains(local.time_formats, version.format) || strcontains(version.format, "%"), false)
    ])
    error_message = <<-EOT
      Set version.format to "rfc3339", "unix_s", "unix_ms", "unix_us", "date" or "dotnet", or to a pattern such as
      "%d.%m.%Y %H:%M:%S".
    EOT
  }

  precondition {
    condition = alltrue([
      for version in local.source_versions :
      can(regex(local.patterns.zone, version.zone))
      if version.zone != null
    ])
    error_message = "Set version.zone to the name of a time zone, such as Europe/Berlin or UTC."
  }

  precondition {
    condition = alltrue([
      for format in local.zoned_version_formats :
      contains(local.zoned_formats, format) || strcontains(format, "%")
    ])
    error_message = <<-EOT
      Remove version.zone, or set version.format to "rfc3339", "date" or a pattern. Other times need no zone.
    EOT
  }

  precondition {
    condition     = alltrue([for format in local.zoned_version_formats : !strcontains(format, "%z")])
    error_message = "Remove version.zone, or %z from version.format. A time with an offset needs no zone."
  }

  # --- Rules about URLs and bodies

  precondition {
    condition = alltrue([
      for url in local.source_urls :
      !can(regex("[{}]", replace(url, "/${local.patterns.placeholder}/", "")))
    ])
    error_message = <<-EOT
      Use no placeholders other than {cursor}, {now} and {page} in url, sweep.url and deletes.url. Write other braces as
      %7B and %7D.
    EOT
  }

  precondition {
    condition = alltrue([
      for url in local.source_urls :
      !can(regex(local.patterns.credential_url, url))
    ])
    error_message = <<-EOT
      Remove query parameters that carry a credential, such as api_key, access_token, token, key, sig, password and a
      long code, from url, sweep.url, deletes.url and oauth2.token_url, because everybody who may read the plan or the
      state can read them. Name the parameter in secret.query, and the secret's ARN in secret.arn.
    EOT
  }

  precondition {
    condition = alltrue([
      for query in local.token_queries :
      !can(regex(local.patterns.credential_url, query))
    ])
    error_message = <<-EOT
      Remove credentials from oauth2.parameters, because everybody who may read the plan or the state can read them.
      Store them in oauth2.secret.
    EOT
  }

  precondition {
    condition = alltrue([
      for request in local.source_requests :
      contains(local.request_methods, request.method)
    ])
    error_message = "Set request.method to \"GET\" or \"POST\"."
  }

  precondition {
    condition = alltrue([
      for request in local.source_requests :
      request.method != "GET"
      if request.body != null
    ])
    error_message = <<-EOT
      Set request.method to "POST" if a request has a body, because back offices ignore the body of a GET.
    EOT
  }

  precondition {
    condition = alltrue([
      for request in local.source_requests :
      can(jsondecode(request.body))
      if request.body != null
    ])
    error_message = <<-EOT
      Set request.body to JSON text, in which placeholders stand in texts, such as {"since": "{cursor}"}.
    EOT
  }

  precondition {
    condition = alltrue([
      for request in local.source_requests :
      try(length(request.body) <= 65536, true)
    ])
    error_message = "Set request.body to at most 65536 characters."
  }

  precondition {
    condition = alltrue([
      for request in local.source_requests :
      !can(regex(local.patterns.credential_body, request.body))
    ])
    error_message = <<-EOT
      Remove members that carry a credential, such as api_key, password and access_token, from request.body, because
      everybody who may read the plan or the state can read them. Use secret or oauth2.
    EOT
  }

  # --- Rules about {cursor} and {now}

  # `poll` replaces {cursor} with a time that it takes from the records' modification times. So a source with {cursor}
  # needs the field version, or a function that returns the modification times. Terraform can't see whether the function
  # returns them; only `poll` can check that.
  precondition {
    condition = alltrue([
      for s in local.sources_with_cursor :
      s.version != null || s.function != null
    ])
    error_message = <<-EOT
      Set version, or remove {cursor} from url and request.body. Without the records' modification times, `poll` has no
      time to put there.
    EOT
  }

  precondition {
    condition = alltrue([
      for list in local.source_lists :
      strcontains(list.text, "{cursor}")
      if strcontains(list.text, "{now}")
    ])
    error_message = <<-EOT
      Put {cursor} beside {now}, or remove {now}, because `poll` asks for the time from {cursor} to {now}.
    EOT
  }

  precondition {
    condition = alltrue([
      for name, s in var.sources :
      contains(local.names_of_sources_with_cursor, name)
      if s.cursor != null
    ])
    error_message = "Put {cursor} into url or request.body, or remove cursor, which only says how {cursor} is written."
  }

  precondition {
    condition = alltrue([
      for format in local.zoned_cursor_formats :
      contains(local.zoned_formats, format) || strcontains(format, "%")
    ])
    error_message = <<-EOT
      Remove cursor.zone, or set cursor.format to "rfc3339", "date" or a pattern. The other formats write no zone.
    EOT
  }

  precondition {
    condition = alltrue([
      for s in local.sources_with_cursor :
      try(s.cursor.format, null) != null
      if s.function != null
    ])
    error_message = <<-EOT
      Set cursor.format if a source has a function and {cursor}, because there is no version.format to use.
    EOT
  }

  precondition {
    condition = alltrue([
      for s in local.sources_with_cursor_in_deletes :
      try(s.cursor.format, null) != null
      if s.function != null
    ])
    error_message = <<-EOT
      Set cursor.format if a source has a function and {cursor} in deletes, because there is no version.format to use.
    EOT
  }

  precondition {
    condition = alltrue([
      for name, s in var.sources :
      contains(keys(local.sources_with_cursor), name)
      if s.order != null
    ])
    error_message = <<-EOT
      Set version and put {cursor} into url or request.body if order is set, so that `poll` can go on behind the newest
      record.
    EOT
  }

  precondition {
    condition = alltrue([
      for name, s in var.sources :
      (s.sweep.schedule != null) == contains(local.names_of_partial_sources, name)
      if s.sweep != null
    ])
    error_message = <<-EOT
      Set sweep.schedule if the source has {cursor} or paging.delta, and only then. Each pass of another source lists
      everything and finds what is missing, so only sweep.max_deletes_percent applies to it.
    EOT
  }

  # --- Rules about paging, of a source's list and of its list of deleted records

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      contains(local.paging_styles, paging.style)
    ])
    error_message = "Set paging.style to \"none\", \"link\", \"page\", \"offset\" or \"token\"."
  }

  precondition {
    condition = alltrue([
      for places in local.page_places :
      places.given == places.needed
    ])
    error_message = <<-EOT
      Set paging.parameter to the name of the query parameter for the page number, offset or token, or put {page} into
      the url or body of each request, and not both. Leave both out with the styles "none" and "link".
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      can(regex(local.patterns.parameter, paging.parameter))
      if paging.parameter != null
    ])
    error_message = <<-EOT
      Set paging.parameter to the name of a query parameter: 1 to 100 printable characters without spaces.
    EOT
  }

  precondition {
    condition = alltrue([
      for expression in local.written_paging_expressions :
      try(trimspace(expression) != "", true)
    ])
    error_message = <<-EOT
      Set paging.next, paging.more, paging.total and paging.delta to a JMESPath expression, or leave the field out.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.expression_pagings :
      paging.next != null || paging.header != null
      if paging.style == "token"
    ])
    error_message = <<-EOT
      Set paging.next to the JMESPath expression that finds the next page's token, or paging.header to the header that
      holds it.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      contains(local.linking_styles, paging.style)
      if paging.next != null || paging.header != null
    ])
    error_message = <<-EOT
      Remove paging.next and paging.header, or set paging.style to "link" or "token". The other styles count pages or
      records.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      paging.next == null
      if paging.header != null
    ])
    error_message = <<-EOT
      Set only one of paging.next and paging.header, to tell `poll` where the next page's link or token is.
    EOT
  }

  precondition {
    condition = alltrue([
      for header in local.source_pagings[*].header :
      can(regex(local.patterns.header, header)) && lower(header) != "link"
      if header != null
    ])
    error_message = <<-EOT
      Name paging.header as HTTP does: 1 to 100 letters, digits and !#$%&'*+.^_`|~-. Leave it out for the header Link.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      paging.style == "link" && paging.next == null && paging.header == null
      if paging.rel != null
    ])
    error_message = <<-EOT
      Set paging.rel only with the style "link" and without paging.next and paging.header, because only the header Link
      has relations.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      can(regex(local.patterns.relation, paging.rel))
      if paging.rel != null
    ])
    error_message = "Set paging.rel to one relation of a Link header, such as next."
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      contains(local.counting_styles, paging.style)
      if paging.first != null || paging.size != null
    ])
    error_message = <<-EOT
      Remove paging.first and paging.size, or set paging.style to "page" or "offset". The other styles count nothing.
    EOT
  }

  precondition {
    condition = alltrue([
      for n in local.source_pagings[*].first :
      n >= 0 && n <= 1000000 && floor(n) == n
      if n != null
    ])
    error_message = "Set paging.first to a whole number from 0 to 1000000."
  }

  precondition {
    condition = alltrue([
      for n in local.source_pagings[*].size :
      n >= 1 && n <= 1000000 && floor(n) == n
      if n != null
    ])
    error_message = "Set paging.size to a whole number from 1 to 1000000, or leave it out."
  }

  precondition {
    condition = alltrue([
      for paging in local.ending_pagings :
      paging.style != "none"
    ])
    error_message = <<-EOT
      Set paging.style if paging.more, paging.end_status or paging.max_empty_pages is set, because they end a list of
      several pages.
    EOT
  }

  precondition {
    condition = alltrue([
      for paging in local.source_pagings :
      paging.style == "offset"
      if paging.total != null
    ])
    error_message = "Remove paging.total, or set paging.style to \"offset\". The other styles don't count records."
  }

  precondition {
    condition = alltrue([
      for status in local.end_statuses :
      status == 204 || (status >= 400 && status <= 499 && floor(status) == status)
    ])
    error_message = "Set paging.end_status to 204 or to statuses from 400 to 499, such as 404."
  }

  precondition {
    condition     = alltrue([for status in local.end_statuses : !contains(local.passing_statuses, status)])
    error_message = <<-EOT
      Remove 401, 403, 408, 425 and 429 from paging.end_status, because a back office answers with them when it is busy
      or rights are missing, and the pass would end too early.
    EOT
  }

  precondition {
    condition = alltrue([
      for n in local.source_pagings[*].max_empty_pages :
      n >= 1 && n <= 1000 && floor(n) == n
      if n != null
    ])
    error_message = "Set paging.max_empty_pages to a whole number from 1 to 1000, or leave it out."
  }

  # --- Rules about the stored secrets

  precondition {
    condition = alltrue([
      for secret in local.all_secrets :
      can(regex(local.patterns.secret, secret.arn))
    ])
    error_message = <<-EOT
      Set the arn of secret, oauth2.secret and tls.client_certificate to the whole ARN, without wildcards, of a Secrets
      Manager secret (with its six last characters) or of an SSM parameter in region.
    EOT
  }

  precondition {
    condition = alltrue([
      for secret in local.all_secrets :
      can(regex(local.patterns.kms_key, secret.kms_key_arn))
      if secret.kms_key_arn != null
    ])
    error_message = <<-EOT
      Set kms_key_arn of a secret to the ARN of a key (not of an alias) in region, or leave it out if the key that AWS
      manages encrypts the secret.
    EOT
  }

  precondition {
    condition = alltrue([
      for secret in local.all_secrets :
      can(regex(local.replica_kms_key, secret.replica_kms_key_arn))
      if secret.replica_kms_key_arn != null
    ])
    error_message = <<-EOT
      Set replica_kms_key_arn of a secret to the ARN of a key (not of an alias) in replica.region, or leave it out if
      the key that AWS manages encrypts the secret's replica.
    EOT
  }

  precondition {
    condition = var.poll.in_replica || alltrue([
      for secret in local.all_secrets :
      secret.replica_kms_key_arn == null
    ])
    error_message = <<-EOT
      Set poll.in_replica, or leave out replica_kms_key_arn of the sources' secrets, which nothing else uses.
    EOT
  }
}
