# Tests that the rules about items in variables_items.tf refuse what they should. Each run breaks one rule, and its name
# says how.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "one_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = null, former = null })
    error_message = "By default, a stack has the items table of the first generation and no other."
  }
}

run "live_and_building_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { building = 2 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 1, building = 2, former = null })
    error_message = "A second table is made beside the live one."
  }
}

run "live_and_former_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 12, former = 1 }
  }

  assert {
    condition     = jsonencode(output.items) == jsonencode({ live = 12, building = null, former = 1 })
    error_message = "The former table stays beside the live one."
  }
}

run "items_table_of_generation_zero" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 0 }
  }

  expect_failures = [var.items]
}

run "live_items_table_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 1.5 }
  }

  expect_failures = [var.items]
}

run "building_items_table_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { building = 1.5 }
  }

  expect_failures = [var.items]
}

run "former_items_table_of_a_fraction" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { former = 1.5 }
  }

  expect_failures = [var.items]
}

run "building_the_live_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 2, building = 2 }
  }

  expect_failures = [var.items]
}

run "former_is_the_live_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 2, former = 2 }
  }

  expect_failures = [var.items]
}

run "building_and_former_items_table" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    items = { live = 2, building = 3, former = 1 }
  }

  expect_failures = [var.items]
}
