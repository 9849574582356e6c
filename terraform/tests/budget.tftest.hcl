# Tests of module `budget`, and of the budget and the tags in modules/readplane.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "replica"
  source          = "./tests/mocks"
  override_during = plan
}

mock_provider "aws" {
  alias           = "edge"
  source          = "./tests/mocks"
  override_during = plan

  mock_data "aws_region" {
    defaults = {
      name = "us-east-1"
    }
  }
}

variables {
  name        = "shop"
  region      = "eu-central-1"
  monthly_usd = 120.5
  emails      = ["costs@example.com"]
  tags        = { Stack = "shop" }
}

run "budget_of_a_tag" {
  command = plan

  module {
    source = "./modules/budget"
  }

  variables {
    tag = { key = "Stack", value = "shop" }
  }

  assert {
    condition     = aws_budgets_budget.this.name == "shop-eu-central-1"
    error_message = "The budget's name contains the Region."
  }

  assert {
    condition = (
      aws_budgets_budget.this.limit_amount == "120.5"
      && aws_budgets_budget.this.limit_unit == "USD"
      && aws_budgets_budget.this.time_unit == "MONTHLY"
    )
    error_message = "The budget is a monthly sum."
  }

  assert {
    condition = {
      for filter in aws_budgets_budget.this.cost_filter : filter.name => join(",", filter.values)
    } == { TagKeyValue = "user:Stack$shop" }
    error_message = "The budget counts only the costs with the stack's tag, with the prefix that AWS needs."
  }

  assert {
    condition = {
      for each in aws_budgets_budget.this.notification : each.notification_type => each.threshold
    } == { ACTUAL = 80, FORECASTED = 100 }
    error_message = "The budget notifies at 80 % of the sum, and when AWS expects more than the sum."
  }

  assert {
    condition = alltrue([
      for each in aws_budgets_budget.this.notification :
      each.comparison_operator == "GREATER_THAN" && each.threshold_type == "PERCENTAGE"
    ])
    error_message = "The thresholds are percentages, and the budget notifies above them."
  }

  assert {
    condition = alltrue([
      for each in aws_budgets_budget.this.notification :
      join(",", each.subscriber_email_addresses) == "costs@example.com"
    ])
    error_message = "Each notification goes to the addresses of the budget."
  }
}

run "budget_of_the_whole_account" {
  command = plan

  module {
    source = "./modules/budget"
  }

  assert {
    condition     = length(aws_budgets_budget.this.cost_filter) == 0
    error_message = "Without a tag, the budget counts all costs of the account."
  }
}

run "budget_of_a_tag_that_the_resources_lack" {
  command = plan

  module {
    source = "./modules/budget"
  }

  variables {
    tag  = { key = "Stack", value = "shop" }
    tags = { Stack = "another" }
  }

  expect_failures = [aws_budgets_budget.this]
}

run "stack_with_a_budget" {
  command = plan

  module {
    source = "./modules/readplane"
  }

  providers = {
    aws         = aws
    aws.replica = aws.replica
    aws.edge    = aws.edge
  }

  override_data {
    target = data.aws_default_tags.primary
    values = { tags = { Project = "readplane", Stack = "readplane", Team = "data" } }
  }

  variables {
    name          = "readplane"
    hot_zip       = "tests/mocks/hot.txt"
    functions_zip = "tests/mocks/artefact.txt"
    layer_zip     = "tests/mocks/artefact.txt"
    collections   = { products = { read = "public" } }
    notify        = { emails = ["operations@example.com"] }
    budget        = { monthly_usd = 100 }
  }

  assert {
    condition     = module.budget[0].name == "readplane-eu-central-1"
    error_message = "The budget counts the tag that the provider gives the resources, in the primary Region only."
  }

  assert {
    condition     = join(",", module.settings.budget_emails) == "operations@example.com"
    error_message = "The budget notifies those of the alarms."
  }

  assert {
    condition     = length(module.tags.tags) == 3
    error_message = "The rules for tags see the tags of the caller's provider."
  }
}
