# Tests of module `guard`. tests/local/test_lifecycle.py tries to destroy what it guards.

run "protected" {
  command = plan

  module {
    source = "./modules/guard"
  }

  variables {
    protected = true
    message   = "Set deletion_protection = false, and run terraform apply."
  }

  assert {
    condition     = output.protected && terraform_data.this.input.message == var.message
    error_message = "The guard remembers whether it refuses, and what to say."
  }
}

run "message_that_a_shell_would_read" {
  command = plan

  module {
    source = "./modules/guard"
  }

  variables {
    protected = true
    message   = "Don't"
  }

  expect_failures = [var.message]
}
