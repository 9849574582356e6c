# config.json, which tells the site about the stack. It holds no secret: everybody can read it. It names the members of
# each collection's items, so that the site can make a form, and nothing else of the JSON Schemas.

locals {
  live      = { for name, collection in var.collections : name => collection if !collection.retired }
  source_of = { for name, source in var.sources : source.collection => merge(source, { name = name }) }

  schemas    = { for name, collection in local.live : name => try(jsondecode(collection.schema), {}) }
  properties = { for name, schema in local.schemas : name => try(merge({}, schema.properties), {}) }
  required   = { for name, schema in local.schemas : name => try([for key in schema.required : tostring(key)], []) }

  # Collection name -> the members of an item: the required ones in the schema's order, then the others by name.
  # (`jsondecode` doesn't keep the order of an object's members.)
  members = { for name, required in local.required :
    name => distinct(concat(required, keys(local.properties[name])))
  }

  # A member whose rule is more than a simple type gets the type null. The site shows such a member as JSON.
  fields = { for name, members in local.members : name => [for member in members : {
    name       = member
    required   = contains(local.required[name], member)
    type       = try(tostring(local.properties[name][member].type), null)
    format     = try(tostring(local.properties[name][member].format), null)
    max_length = try(tonumber(local.properties[name][member].maxLength), null)
    choices    = try(local.choices[name][member], null)
  }] }

  # Only lists of texts, because a choice in a form is a text.
  choices = { for name, properties in local.properties : name => {
    for member, rule in properties : member => [for value in rule.enum : tostring(value)]
    if try(rule.type, null) == "string" && can(rule.enum)
  } }

  config = jsonencode({
    api       = "" # the distribution serves the API under /v1, so the site needs no CORS
    documents = var.documents_path
    sign_in = var.sign_in_url == null ? null : {
      domain    = var.sign_in_url
      client_id = var.client_id
      scopes    = var.scopes
    }
    collections = [for name, collection in local.live : {
      name         = name
      title        = null # the site makes a title of the name
      read         = collection.read
      write_groups = collection.write_groups
      source       = try(local.source_of[name].name, null)
      snapshot     = try(local.source_of[name].mode == "snapshot", false)
      fields       = local.fields[name]
    }]
    sources = [for name, source in var.sources : {
      name             = name
      collection       = source.collection
      staleness_budget = source.staleness_budget
      read             = try(local.live[source.collection].read, null)
    }]
  })
}
