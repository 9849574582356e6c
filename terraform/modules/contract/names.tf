# The names in the contract. Generators make classes, methods and file names of them.
locals {
  # What a collection, source or backend is called in operation ids and schemas: its name without hyphens, each part
  # with a capital (`iso-countries` becomes `IsoCountries`). Sources and backends get their kind as a suffix.
  collection_words = { for name in keys(var.collections) : "collection ${name}" => local.capitalised[name] }
  source_words     = { for name in keys(var.sources) : "source ${name}" => "${local.capitalised[name]}Source" }
  backend_words    = { for name in keys(var.backends) : "backend ${name}" => "${local.capitalised[name]}Backend" }

  all_names   = toset(concat(keys(var.collections), keys(var.sources), keys(var.backends)))
  capitalised = { for name in local.all_names : name => join("", [for part in split("-", name) : title(part)]) }

  words = merge(local.collection_words, local.source_words, local.backend_words)

  # Different names can give the same words: `a-1` and `a1`, or the collection `x-source` and the source `x`. Words that
  # occur twice get part of a hash of their name. Words that differ only in case count as the same, because generators
  # write files, and some file systems ignore the case of file names.
  names_of_words = { for name, words in local.words : lower(words) => name... }
  unique_words = { for name, words in local.words : name => (
    length(local.names_of_words[lower(words)]) == 1 ? words : "${words}X${substr(sha256(name), 0, 6)}"
  ) }

  collection_name = { for name in keys(var.collections) : name => local.unique_words["collection ${name}"] }
  source_name     = { for name in keys(var.sources) : name => local.unique_words["source ${name}"] }
  backend_name    = { for name in keys(var.backends) : name => local.unique_words["backend ${name}"] }

  # The tag of a collection or backend is its name. Generators make a class of each tag, so a tag must differ from the
  # others in more than case and hyphens.
  tag_names  = toset(concat(["health"], keys(var.collections), keys(var.backends)))
  tags_alike = { for name in local.tag_names : lower(replace(name, "-", "")) => name... }
  unique_tags = { for name in local.tag_names : name => (
    length(local.tags_alike[lower(replace(name, "-", ""))]) == 1 ? name : "${name}-x${substr(sha256(name), 0, 6)}"
  ) }

  # The operations that a route can have, and the possible subjects of each.
  known_operations = keys(local.subjects_of_operation)
  subjects_of_operation = {
    health               = {}
    list_items           = local.collection_name
    read_item            = local.collection_name
    read_document        = local.collection_name
    read_change          = local.collection_name
    create_item          = local.collection_name
    replace_item         = local.collection_name
    delete_item          = local.collection_name
    read_source          = local.source_name
    read_source_document = local.source_name
    call_backend         = local.backend_name
  }

  # Every operation with every subject that it can have, as "operation subject". Health has no subject.
  known_pairs = concat(["health"], flatten([
    for operation, subjects in local.subjects_of_operation : [for subject in keys(subjects) : "${operation} ${subject}"]
  ]))
}
