mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name          = "readplane"
  kms_key_arn   = "arn:aws:kms:eu-central-1:111122223333:key/k"
  force_destroy = false
  tls_only      = true
  reader_arns   = ["arn:aws:cloudfront::111122223333:distribution/E1"]

  sign_in_url = "https://readplane.auth.eu-central-1.amazoncognito.com"
  client_id   = "web-client"
  scopes      = ["openid", "email", "readplane/read"]

  collections = {
    notices = {
      read         = "authenticated"
      write_groups = ["editors"]
      schema       = <<-JSON
        {
          "required": ["title", "tags"],
          "properties": {
            "urgency": { "type": "string", "enum": ["low", "high"] },
            "title": { "type": "string", "maxLength": 200 },
            "priority": { "type": "integer", "enum": [1, 2] },
            "parent": { "type": ["string", "null"] },
            "until": { "type": "string", "format": "date" },
            "anything": true
          }
        }
      JSON
    }
    rates = { read = "public" }
    gone  = { read = "public", retired = true }
  }

  sources = { bank = { mode = "snapshot", collection = "rates", staleness_budget = 600 } }
}

run "files" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    named_asset = "assets/[0-9a-f]{16}/[a-z_.]+"
    inline      = "(?i)<script[^>]*>[^<]|<style|\\son[a-z]+=|style="
  }

  assert {
    condition     = length(aws_s3_object.asset) >= 10 && aws_s3_object.page.key == "index.html"
    error_message = "The bucket gets every file of web/."
  }

  assert {
    condition = alltrue([for key, file in output.files :
      file.cache_control == (startswith(key, "assets/") ? "public, max-age=31536000, immutable" : "no-cache")
    ])
    error_message = "Browsers keep the assets, and ask each time for the page and the settings."
  }

  assert {
    condition = alltrue([for key in keys(output.files) :
      can(regex("^assets/[0-9a-f]{16}/[a-z_]+[.](js|css|svg)$|^[^/]+$", key))
    ])
    error_message = "The assets lie in a folder named after their hash."
  }

  assert {
    condition = alltrue([
      for kind in ["css", "html", "javascript"] : contains(values(output.files)[*].type, "text/${kind}; charset=utf-8")
    ])
    error_message = "Each text has the type that browsers demand, with its encoding."
  }

  assert {
    condition = alltrue([
      for type in ["application/json", "image/svg+xml"] : contains(values(output.files)[*].type, type)
    ])
    error_message = "Each other file has the type that browsers demand."
  }

  assert {
    condition     = length(distinct(values(output.files)[*].type)) == 5
    error_message = "There are no other types."
  }

  assert {
    condition = (
      length(regexall("assets/", aws_s3_object.page.content))
      == length(regexall("assets/[0-9a-f]{16}/", aws_s3_object.page.content))
    )
    error_message = "The page names the assets by their hash."
  }

  assert {
    condition = alltrue([for key in regexall(var.named_asset, aws_s3_object.page.content) :
      contains(keys(output.files), key)
    ])
    error_message = "Every file that the page names is in the bucket."
  }

  assert {
    condition     = length(regexall(var.inline, aws_s3_object.page.content)) == 0
    error_message = "The page has no inline script or style, because its policy refuses them."
  }
}

run "policy" {
  command = plan

  module {
    source = "./modules/site"
  }

  assert {
    condition = startswith(
      output.content_security_policy, "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    )
    error_message = "Nothing loads from another host."
  }

  assert {
    condition = (
      split("; ", output.content_security_policy)[4]
      == "connect-src 'self' https://readplane.auth.eu-central-1.amazoncognito.com"
    )
    error_message = "Scripts call only this origin and the sign-in page."
  }

  assert {
    condition = (
      slice(split("; ", output.content_security_policy), 5, 8)
      == tolist(["form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'"])
    )
    error_message = "The page sends no form, has no other base, and stands in no frame."
  }

  assert {
    condition = endswith(
      output.content_security_policy, "'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    error_message = "No text becomes markup."
  }

  assert {
    condition     = length(split("; ", output.content_security_policy)) == 10
    error_message = "There are no other rules."
  }
}

run "config" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    expected = {
      api       = ""
      documents = null
      sign_in = {
        client_id = "web-client"
        domain    = "https://readplane.auth.eu-central-1.amazoncognito.com"
        scopes    = ["openid", "email", "readplane/read"]
      }
      collections = [
        {
          name         = "notices", title = null, read = "authenticated", source = null, snapshot = false
          write_groups = ["editors"]
          fields = [
            { name = "title", required = true, type = "string", format = null, max_length = 200, choices = null },
            { name = "tags", required = true, type = null, format = null, max_length = null, choices = null },
            { name = "anything", required = false, type = null, format = null, max_length = null, choices = null },
            { name = "parent", required = false, type = null, format = null, max_length = null, choices = null },
            { name = "priority", required = false, type = "integer", format = null, max_length = null, choices = null },
            { name = "until", required = false, type = "string", format = "date", max_length = null, choices = null },
            {
              name    = "urgency", required = false, type = "string", format = null, max_length = null
              choices = ["low", "high"]
            },
          ]
        },
        {
          name         = "rates", title = null, read = "public", source = "bank", snapshot = true, fields = []
          write_groups = []
        },
      ]
      sources = [{ name = "bank", collection = "rates", staleness_budget = 600, read = "public" }]
    }
  }

  assert {
    condition     = output.config == jsonencode(var.expected)
    error_message = "config.json has the live collections, their simple members and their sources."
  }

  assert {
    condition     = aws_s3_object.config.content == output.config
    error_message = "The bucket has that config.json."
  }
}

run "without_sign_in" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    sign_in_url    = null
    documents_path = "/documents"
  }

  assert {
    condition     = jsondecode(output.config).sign_in == null && jsondecode(output.config).documents == "/documents"
    error_message = "Without a sign-in page the site has no sign-in."
  }

  assert {
    condition     = strcontains(output.content_security_policy, "connect-src 'self';")
    error_message = "Without a sign-in page scripts call only this origin."
  }
}

run "refuses_a_sign_in_page_that_adds_to_the_policy" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    sign_in_url = "https://example.com; script-src *"
  }

  expect_failures = [var.sign_in_url]
}

run "refuses_scopes_that_name_nobody" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    scopes = ["openid"]
  }

  expect_failures = [var.scopes]
}

run "refuses_a_folder_without_a_page" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    folder = "tests/sites/empty"
  }

  expect_failures = [var.folder]
}

run "refuses_a_file_of_an_unknown_type" {
  command = plan

  module {
    source = "./modules/site"
  }

  variables {
    folder = "tests/sites/unknown_type"
  }

  expect_failures = [aws_s3_object.asset]
}
