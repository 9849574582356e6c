# Tests that a JSON Schema with a mistake is refused at plan.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
}

run "a_newer_draft" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = {
      read   = "public"
      schema = "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\"}"
    } }
  }

  expect_failures = [var.collections]
}

run "a_draft_that_is_no_text" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = "{\"$schema\": null}" } }
  }

  expect_failures = [var.collections]
}

run "a_list" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = "[{}]" } }
  }

  expect_failures = [var.collections]
}

run "a_type_that_does_not_exist" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = "{\"type\": \"strng\"}" } }
  }

  expect_failures = [output.schemas]
}

run "a_type_that_does_not_exist_deep_inside" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = <<-JSON
      {
        "properties": {
          "parts": {
            "items": { "allOf": [{}, { "properties": { "size": { "type": ["number", "nul"] } } }] }
          }
        }
      }
    JSON
    } }
  }

  expect_failures = [output.schemas]
}

run "a_type_that_is_no_text" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = "{\"items\": [{\"type\": [null]}]}" } }
  }

  expect_failures = [output.schemas]
}

run "a_reference_to_another_host" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = <<-JSON
      { "properties": { "address": { "$ref": "https://example.com/address.json#/definitions/street" } } }
    JSON
    } }
  }

  expect_failures = [output.schemas]
}

run "a_reference_to_a_file" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = { products = { read = "public", schema = "{\"not\": {\"$ref\": \"file:///etc/passwd\"}}" } }
  }

  expect_failures = [output.schemas]
}

# What looks like a mistake and is none. tests/unit/terraform/test_schemas.py compiles the same schemas.
run "schemas_without_a_mistake" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    collections = {
      none     = { read = "public" }
      empty    = { read = "public", schema = "{}" }
      draft-4  = { read = "public", schema = "{\"$schema\": \"http://json-schema.org/draft-04/schema#\"}" }
      draft-7  = { read = "public", schema = "{\"$schema\": \"https://json-schema.org/draft-07/schema\"}" }
      booleans = { read = "public", schema = "{\"properties\": {\"a\": true, \"b\": false}, \"items\": [true]}" }
      data = { read = "public", schema = <<-JSON
        {
          "const": { "type": "Point", "$ref": "https://example.com/point" },
          "enum": [{ "type": "Point" }],
          "default": { "type": "Point" },
          "examples": [{ "type": "Point" }],
          "x-form": { "type": "textarea" }
        }
      JSON
      }
      names = { read = "public", schema = <<-JSON
        {
          "type": ["object", "null"],
          "required": ["type", "$ref"],
          "properties": { "type": { "type": "string" }, "$ref": { "type": "string" }, "properties": {} },
          "dependencies": { "a": ["b"], "b": { "type": "object" } }
        }
      JSON
      }
      references = { read = "public", schema = <<-JSON
        {
          "$id": "https://example.com/tree.json",
          "definitions": {
            "tree": { "properties": { "child": { "$ref": "#/definitions/tree" } } },
            "meta": { "$ref": "http://json-schema.org/draft-07/schema#" },
            "leaf": { "$id": "https://example.com/leaf.json", "type": "string" }
          },
          "properties": {
            "root": { "$ref": "https://example.com/tree.json#/definitions/tree" },
            "leaf": { "$ref": "https://example.com/leaf.json" },
            "near": { "$ref": "leaf.json" }
          }
        }
      JSON
      }
      beside = { read = "public", schema = "{\"$ref\": \"#/definitions/a\", \"definitions\": {\"a\": {}}}" }
    }
  }

  assert {
    condition     = output.schemas
    error_message = "Data in a schema, names of properties, and references inside a schema are no mistakes."
  }
}
