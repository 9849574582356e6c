# Tests of the rules of the variable network.

variables {
  region        = "eu-central-1"
  hot_zip       = "tests/mocks/hot.txt"
  functions_zip = "tests/mocks/artefact.txt"
  layer_zip     = "tests/mocks/artefact.txt"
  dax_layer_zip = "tests/mocks/artefact.txt"
  collections   = { products = { read = "public" } }
}

run "network_of_each_kind" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    network = {
      primary = { create = {
        cidr                = "10.20.0.0/20"
        zones               = ["eu-central-1a", "eu-central-1b"]
        interface_endpoints = ["xray"]
      } }
      replica = { existing = {
        vpc_id             = "vpc-0123456789abcdef0"
        subnet_ids         = ["subnet-0a", "subnet-0b"]
        route_table_ids    = ["rtb-0a"]
        security_group_ids = ["sg-0a"]
      } }
    }
  }

  assert {
    condition     = output.network.primary.create != null && output.network.replica.existing != null
    error_message = "Each Region may have a network of another kind."
  }
}

run "network_of_two_kinds" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = {
      create   = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] }
      existing = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0a", "subnet-0b"] }
    } }
  }

  expect_failures = [var.network]
}

run "network_of_no_kind" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = {} }
  }

  expect_failures = [var.network]
}

run "network_without_the_replica" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    network = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
  }

  expect_failures = [var.network]
}

run "network_of_a_replica_that_is_not_there" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = {
      primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
      replica = { existing = { vpc_id = "vpc-0123456789abcdef0", subnet_ids = ["subnet-0a", "subnet-0b"] } }
    }
  }

  expect_failures = [var.network]
}

run "network_that_is_too_small" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = { cidr = "10.20.0.0/24", zones = ["eu-central-1a", "eu-central-1b"] } } }
  }

  expect_failures = [var.network]
}

run "network_that_is_no_range" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = { cidr = "10.20.0.300/20", zones = ["eu-central-1a", "eu-central-1b"] } } }
  }

  expect_failures = [var.network]
}

run "network_in_zones_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-west-1a", "eu-west-1b"] } } }
  }

  expect_failures = [var.network]
}

run "replica_network_in_zones_of_another_region" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    replica = { region = "eu-west-1" }
    network = {
      primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
      replica = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a", "eu-central-1b"] } }
    }
  }

  expect_failures = [var.network]
}

run "network_in_one_zone" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = { cidr = "10.20.0.0/20", zones = ["eu-central-1a"] } } }
  }

  expect_failures = [var.network]
}

run "network_with_a_zone_twice" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = {
      cidr  = "10.20.0.0/20"
      zones = ["eu-central-1a", "eu-central-1b", "eu-central-1a"]
    } } }
  }

  expect_failures = [var.network]
}

run "network_with_an_interface_endpoint_for_s3" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = {
      cidr                = "10.20.0.0/20"
      zones               = ["eu-central-1a", "eu-central-1b"]
      interface_endpoints = ["s3"]
    } } }
  }

  expect_failures = [var.network]
}

run "network_with_an_endpoint_of_a_long_name" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { create = {
      cidr                = "10.20.0.0/20"
      zones               = ["eu-central-1a", "eu-central-1b"]
      interface_endpoints = ["com/xray"]
    } } }
  }

  expect_failures = [var.network]
}

run "network_that_is_no_vpc" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = { vpc_id = "eipalloc-0a", subnet_ids = ["subnet-0a", "subnet-0b"] } } }
  }

  expect_failures = [var.network]
}

run "network_with_one_subnet" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = { vpc_id = "vpc-0a", subnet_ids = ["subnet-0a", "subnet-0a"] } } }
  }

  expect_failures = [var.network]
}

run "network_with_names_of_subnets" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = { vpc_id = "vpc-0a", subnet_ids = ["private-a", "private-b"] } } }
  }

  expect_failures = [var.network]
}

run "network_with_names_of_route_tables" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = {
      vpc_id          = "vpc-0123456789abcdef0"
      subnet_ids      = ["subnet-0a", "subnet-0b"]
      route_table_ids = ["private"]
    } } }
  }

  expect_failures = [var.network]
}

run "network_with_five_more_groups" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = {
      vpc_id             = "vpc-0123456789abcdef0"
      subnet_ids         = ["subnet-0a", "subnet-0b"]
      security_group_ids = ["sg-1", "sg-2", "sg-3", "sg-4", "sg-5"]
    } } }
  }

  expect_failures = [var.network]
}

run "network_with_names_of_groups" {
  command = plan

  module {
    source = "./modules/settings"
  }

  variables {
    network = { primary = { existing = {
      vpc_id             = "vpc-0123456789abcdef0"
      subnet_ids         = ["subnet-0a", "subnet-0b"]
      security_group_ids = ["default"]
    } } }
  }

  expect_failures = [var.network]
}
