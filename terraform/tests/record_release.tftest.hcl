# Tests of the alias that CodeDeploy moves in module `record`: its number, and when clients call it. It must not be
# deleted as long as anything may call it.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  name          = "shop"
  region        = "eu-central-1"
  collections   = {}
  replica       = { region = null, enabled = false, protected = false }
  keys          = { primary = "aws", replica = null }
  user_pool     = "own"
  role_path     = "/"
  change_stream = null
  edge          = null
}

run "never_switched_on" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":null}",
        "{\"release\":null}",
      ]
    }
  }

  variables {
    canary = false
  }

  assert {
    condition     = output.release == null
    error_message = "A stack without deployments has no such alias."
  }
}

run "switched_on" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":null}",
        "{\"release\":null}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 1, called = true }
    error_message = "The first alias has the number 1."
  }
}

run "left_on" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":true}}",
        "{\"release\":{\"number\":1,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 1, called = true }
    error_message = "The alias stays the same as long as deployments are on."
  }
}

run "switched_on_halfway_and_again" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":null}",
        "{\"release\":{\"number\":1,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 1, called = true }
    error_message = "The next apply goes on with the alias that the last one began."
  }
}

run "switched_on_halfway_and_off" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":null}",
        "{\"release\":{\"number\":1,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = false
  }

  assert {
    condition     = output.release == { number = 1, called = false }
    error_message = "Something may call the alias that the last apply began, so it stays."
  }
}

run "switched_off" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":true}}",
        "{\"release\":{\"number\":1,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = false
  }

  assert {
    condition     = output.release == { number = 1, called = false }
    error_message = "The alias stays as long as something may call it."
  }
}

run "left_off" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":false}}",
        "{\"release\":{\"number\":1,\"called\":false}}",
      ]
    }
  }

  variables {
    canary = false
  }

  assert {
    condition     = output.release == { number = 1, called = false }
    error_message = "A second plan changes nothing."
  }
}

run "switched_off_halfway_and_on" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":true}}",
        "{\"release\":{\"number\":1,\"called\":false}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 1, called = true }
    error_message = "Something may still call the alias, so it is called again."
  }
}

run "switched_on_once_more" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":false}}",
        "{\"release\":{\"number\":1,\"called\":false}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 2, called = true }
    error_message = "The first alias points to an old version, so there is a second one."
  }
}

run "switched_on_once_more_halfway" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":false}}",
        "{\"release\":{\"number\":2,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 2, called = true }
    error_message = "The next apply goes on with the second alias."
  }
}

run "switched_on_once_more_halfway_and_off" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":false}}",
        "{\"release\":{\"number\":2,\"called\":true}}",
      ]
    }
  }

  variables {
    canary = false
  }

  assert {
    condition     = output.release == { number = 2, called = false }
    error_message = "Something may call the second alias, so it stays."
  }
}

run "off_after_two_halves" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/record", "/readplane/shop/begun"]
      values = [
        "{\"release\":{\"number\":1,\"called\":false}}",
        "{\"release\":{\"number\":2,\"called\":false}}",
      ]
    }
  }

  variables {
    canary = true
  }

  assert {
    condition     = output.release == { number = 2, called = true }
    error_message = "Something may still call the second alias, so it isn't replaced."
  }
}
