# Tests of module `tags`: its rules are those of AWS for the tags of a resource. Each run breaks one rule, and its name
# says how.

variables {
  tags = { Project = "readplane", Stack = "shop" }
}

run "tags_that_aws_accepts" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { Project = "readplane", Stack = "shop", "cost:centre/Größe" = "a.b_c-d=e+f@g h 1" }
  }

  assert {
    condition     = length(output.tags) == 3
    error_message = "AWS accepts letters of every language, digits, spaces and some characters."
  }
}

run "tags_that_differ_only_in_case" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { Project = "readplane", project = "shop" }
  }

  expect_failures = [var.tags]
}

run "tag_with_a_name_of_aws" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { "AWS:team" = "data" }
  }

  expect_failures = [var.tags]
}

run "tag_with_a_comma_in_its_name" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { "cost,centre" = "1" }
  }

  expect_failures = [var.tags]
}

run "tag_with_a_name_that_is_too_long" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { (join("", [for i in range(129) : "k"])) = "1" }
  }

  expect_failures = [var.tags]
}

run "tag_without_a_name" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { "" = "1" }
  }

  expect_failures = [var.tags]
}

run "tag_with_a_bracket_in_its_value" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { Team = "data (eu)" }
  }

  expect_failures = [var.tags]
}

run "tag_without_a_value" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { Team = "" }
  }

  expect_failures = [var.tags]
}

run "tag_with_a_value_that_is_too_long" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { Team = join("", [for i in range(257) : "v"]) }
  }

  expect_failures = [var.tags]
}

run "more_tags_than_a_resource_can_have" {
  command = plan

  module {
    source = "./modules/tags"
  }

  variables {
    tags = { for i in range(51) : "tag${i}" => "v" }
  }

  expect_failures = [var.tags]
}
