# The collections: what the items are, and who may read and write them.

locals {
  # The drafts of JSON Schema that the validator knows. A test compares them with lambda_src/readplane/model/schema.py.
  schema_drafts = [
    "http://json-schema.org/draft-04/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-07/schema",
  ]

  # How a schema may write its draft: also with https, and with # at the end.
  schema_draft = "^(${replace(replace(join("|", local.schema_drafts), ".", "[.]"), "http:", "https?:")})#?$"

  # The name of a field in the database, and a JSON pointer.
  field_name = "^[A-Za-z][A-Za-z0-9_]{0,62}$"
  pointer    = "^(/([^~/]|~[01])*)+$"

  # The types of a field (lambda_src/readplane/model/fields.py).
  field_types = ["number", "text", "boolean", "time"]

  # The text search configurations that every PostgreSQL has, from version 16 on.
  languages = [
    "simple", "arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "finnish", "french", "german",
    "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian", "nepali", "norwegian", "portuguese",
    "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish", "yiddish",
  ]
}

variable "collections" {
  description = "Collection name -> the settings of the collection."
  type = map(object({
    # Who may read the items: `public` (everybody), `authenticated` (every signed-in user) or `owner` (only the user
    # whose item it is).
    read = string
    # Raise it by one whenever you change read from `public` to `authenticated` or back. From then on, `publish` removes
    # an item's document under every visibility that the collection has had.
    read_changes = optional(number, 0)
    # Whether the collection is going. It has no routes, and `ops/readplane collections purge` may delete its items.
    retired      = optional(bool, false)
    write_groups = optional(list(string), []) # the user groups whose members may write the items
    schema       = optional(string)           # the JSON Schema that an item's data must match, as JSON text
    cache_ttl    = optional(number, 0)        # seconds for which API Gateway may cache responses; 0: it caches none
    # Seconds for which the edge may serve a document without asking the Region again. null means cache_ttl. It needs no
    # cache_size. Documents of owners are never cached, at the edge or elsewhere.
    edge_ttl = optional(number)
    # Whether the item cache of the variable cache may hold the items. Set it to false for items that are read seldom.
    cache = optional(bool, true)
    # Requests per second and burst for each API method of the collection; null means the limits in the variable
    # throttle.
    throttle = optional(object({
      rate  = number # requests per second
      burst = number # requests that may come at once
    }))
    # What clients can list the items by, besides plain lists: it needs the variable relational. Each change of it needs
    # `ops/readplane relational migrate`. null: the collection isn't in the database.
    relational = optional(object({
      # Name -> a field of the items that the parameter filter may name.
      fields = optional(map(object({
        type    = string # number, text, boolean or time (RFC 3339)
        pointer = string # JSON pointer to the field in an item's data, for example /price
      })), {})
      sort = optional(list(string), []) # names of fields that the parameter sort may name
      # What the parameter q searches; null: q is refused.
      search = optional(object({
        fields   = list(string)               # JSON pointers to the texts in an item's data
        language = optional(string, "simple") # PostgreSQL's text search configuration, for example english
      }))
    }))
  }))
  nullable = false

  # API Gateway allows 300 resources per API. A collection uses up to six of them, so 40 collections use at most 240.
  # The rest is left for sources, backends and other paths. A retired collection has no routes, so it doesn't count.
  validation {
    condition = contains(range(1, 41), length([
      for collection in values(var.collections) : collection if !collection.retired
    ]))
    error_message = "Declare 1 to 40 collections that aren't retired. Put the rest into a second stack."
  }

  validation {
    condition = alltrue([
      for count in values(var.collections)[*].read_changes : count >= 0 && floor(count) == count
    ])
    error_message = "Set read_changes to a whole number: how often read has changed since the collection was new."
  }

  validation {
    condition     = alltrue([for name in keys(var.collections) : can(regex("^[a-z][a-z0-9-]{0,62}$", name))])
    error_message = <<-EOT
      Name collections with 1 to 63 lower-case letters, digits and hyphens, the first a letter, because the name is part
      of paths and keys.
    EOT
  }

  validation {
    condition     = !contains(keys(var.collections), "sources")
    error_message = <<-EOT
      Rename the collection "sources", because its documents would lie where the stack publishes the freshness of its
      sources.
    EOT
  }

  validation {
    condition = alltrue([
      for collection in values(var.collections) : contains(["public", "authenticated", "owner"], collection.read)
    ])
    error_message = "Set each collection's read to \"public\", \"authenticated\" or \"owner\"."
  }

  validation {
    condition = alltrue([
      for group in flatten(values(var.collections)[*].write_groups) : contains(var.groups, group)
    ])
    error_message = <<-EOT
      Add every group that write_groups names to the variable groups, because Terraform creates and deletes the groups
      of that list only.
    EOT
  }

  validation {
    condition = alltrue([
      for collection in values(var.collections) : length(collection.write_groups) == 0 if collection.read == "owner"
    ])
    error_message = "Remove write_groups from owner collections, because only owners write them."
  }

  validation {
    condition = alltrue([
      for collection in values(var.collections) : collection.cache_ttl == 0 if collection.read == "owner"
    ])
    error_message = "Remove cache_ttl from owner collections, because a cached response would reach other callers."
  }

  # API Gateway caches a response for at most 3600 seconds.
  validation {
    condition = alltrue([
      for ttl in values(var.collections)[*].cache_ttl : ttl >= 0 && ttl <= 3600 && floor(ttl) == ttl
    ])
    error_message = "Set cache_ttl to whole seconds from 0 (not cached) to 3600."
  }

  validation {
    condition = alltrue([
      for collection in values(var.collections) : coalesce(collection.edge_ttl, 0) == 0 if collection.read == "owner"
    ])
    error_message = "Remove edge_ttl from owner collections, because the edge never keeps a document of an owner."
  }

  # A year is the maximum TTL of the edge's cache policy (modules/edge/cache.tf).
  validation {
    condition = alltrue([
      for ttl in values(var.collections)[*].edge_ttl : ttl >= 0 && ttl <= 31536000 && floor(ttl) == ttl if ttl != null
    ])
    error_message = "Set edge_ttl to whole seconds from 0 (ask the Region each time) to 31536000 (a year)."
  }

  validation {
    condition = var.cache_size != null || alltrue([
      for collection in values(var.collections) : collection.cache_ttl == 0
    ])
    error_message = <<-EOT
      Set cache_size (for example to "0.5") or remove cache_ttl from the collections, because API Gateway caches nothing
      without a cache cluster.
    EOT
  }

  validation {
    condition = alltrue([
      for schema in values(var.collections)[*].schema : can(keys(jsondecode(schema))) if schema != null
    ])
    error_message = "Give each schema as the text of one JSON object, for example in a heredoc (<<-JSON … JSON)."
  }

  # The rules about what stands inside a schema are in schemas.tf.
  validation {
    condition = alltrue([
      for s in values(var.collections)[*].schema : can(regex(local.schema_draft, jsondecode(s)["$schema"]))
      if can(jsondecode(s)["$schema"])
    ])
    error_message = <<-EOT
      Set $schema of each schema to one of these drafts, or leave it out, which means the last one:
      ${join("\n", local.schema_drafts)}
      The validator of `write` and `poll` knows no other.
    EOT
  }

  validation {
    condition = alltrue([
      for limit in values(var.collections)[*].throttle : limit.rate > 0 && limit.burst >= 1 if limit != null
    ])
    error_message = <<-EOT
      Set a collection's throttle.rate to more than 0 and its throttle.burst to at least 1, or leave throttle out. With
      less, API Gateway would answer 429 to every request.
    EOT
  }

  validation {
    condition = alltrue([
      for limit in values(var.collections)[*].throttle : floor(limit.burst) == limit.burst if limit != null
    ])
    error_message = "Set a collection's throttle.burst to a whole number, because API Gateway takes no other."
  }

  validation {
    condition = alltrue([
      for each in values(var.collections)[*].relational : length(each.fields) > 0 || each.search != null if each != null
    ])
    error_message = "Give relational of a collection at least one field, or search: otherwise no list could use it."
  }

  # Each field is a column with an index, and each index slows every write.
  validation {
    condition = alltrue([
      for each in values(var.collections)[*].relational : length(each.fields) <= 8 if each != null
    ])
    error_message = "Give relational of a collection at most 8 fields."
  }

  validation {
    condition = alltrue(flatten([
      for c in values(var.collections) : [
        for name in keys(try(c.relational.fields, {})) : can(regex(local.field_name, name))
      ]
    ]))
    error_message = <<-EOT
      Name the fields of relational with 1 to 63 letters, digits and underscores, the first a letter, because clients
      write the name in the parameters filter and sort.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for c in values(var.collections) : [
        for each in values(try(c.relational.fields, {})) : contains(local.field_types, each.type)
      ]
    ]))
    error_message = "Set the type of each field of relational to number, text, boolean or time."
  }

  # https://www.rfc-editor.org/rfc/rfc6901#section-3
  validation {
    condition = alltrue(flatten([
      for c in values(var.collections) : [
        for f in values(try(c.relational.fields, {})) : can(regex(local.pointer, f.pointer))
      ]
    ]))
    error_message = <<-EOT
      Write the pointer of each field of relational as a JSON pointer, for example /price or /maker/name. In a name,
      write ~1 for a slash and ~0 for a tilde.
    EOT
  }

  validation {
    condition = alltrue(flatten([
      for c in values(var.collections) : [
        for pointer in try(c.relational.search.fields, []) : can(regex(local.pointer, pointer))
      ]
    ]))
    error_message = <<-EOT
      Write each of search.fields of relational as a JSON pointer, for example /name or /maker/name. In a name, write ~1
      for a slash and ~0 for a tilde.
    EOT
  }

  validation {
    condition = alltrue([
      for each in values(var.collections)[*].relational : length(setsubtract(each.sort, keys(each.fields))) == 0
      if each != null
    ])
    error_message = "Declare every field that sort of relational names in fields of the same collection."
  }

  validation {
    condition = alltrue([
      for each in values(var.collections)[*].relational : contains(range(1, 9), length(each.search.fields))
      if try(each.search != null, false)
    ])
    error_message = "Give search.fields of relational 1 to 8 JSON pointers."
  }

  # https://www.postgresql.org/docs/current/textsearch-controls.html
  validation {
    condition = alltrue([
      for each in values(var.collections)[*].relational : contains(local.languages, each.search.language)
      if try(each.search != null, false)
    ])
    error_message = <<-EOT
      Set search.language of relational to "simple" (no stemming) or to a language that PostgreSQL knows:
      ${join(", ", local.languages)}.
    EOT
  }
}

variable "groups" {
  description = <<-EOT
    The user groups of the stack. Terraform deletes a group that is listed no longer, and Cognito then forgets its
    members. A listed group stays, whether a collection names it or not.
  EOT
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for group in var.groups : can(regex("^[A-Za-z0-9_-]{1,64}$", group))])
    error_message = <<-EOT
      Name groups with 1 to 64 letters, digits, underscores and hyphens, because the functions split the token's list of
      groups at every other character.
    EOT
  }

  validation {
    condition     = length(distinct(var.groups)) == length(var.groups)
    error_message = "List each group once."
  }
}

locals {
  # The collections that clients can reach.
  live_collections = { for name, collection in var.collections : name => collection if !collection.retired }
}
