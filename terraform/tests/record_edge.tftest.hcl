# Tests of module `record`: in which order a plan may change the lock of the API, and the secret that CloudFront sends.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

# The record of a stack whose API accepts two secrets, of which CloudFront sends the second.
override_data {
  target = data.aws_ssm_parameters_by_path.this
  values = {
    names  = ["/readplane/shop/record"]
    values = ["{\"edge\":{\"sends\":\"2\",\"accepts\":[\"1\",\"2\"]}}"]
  }
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
  edge          = { sends = "2", accepts = ["1", "2"] }
}

run "next_secret_accepted" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = { sends = "2", accepts = ["1", "2", "3"] }
  }

  assert {
    condition     = output.edge == { sends = "2", accepts = tolist(["1", "2", "3"]) }
    error_message = "The next record says which secrets the API accepts."
  }
}

run "last_secret_no_longer_accepted" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = { sends = "2", accepts = ["2"] }
  }

  assert {
    condition     = output.edge.accepts == tolist(["2"])
    error_message = "The API may stop accepting a secret that CloudFront hasn't sent since the last complete apply."
  }
}

run "secret_that_the_api_does_not_accept_yet" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = { sends = "3", accepts = ["2", "3"] }
  }

  expect_failures = [output.edge]
}

run "secret_that_cloudfront_may_still_send" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = { sends = "1", accepts = ["1"] }
  }

  expect_failures = [output.edge]
}

run "unlocked_with_another_secret" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = { sends = "3", accepts = null }
  }

  expect_failures = [output.edge]
}

run "unlocked_and_removed_edge" {
  command = plan

  module {
    source = "./modules/record"
  }

  variables {
    edge = null
  }

  assert {
    condition     = output.edge == null
    error_message = "An edge that goes takes the lock with it."
  }
}

# The apply that began to raise the generation failed, so some edge locations may send the new secret already.
run "rotation_that_failed_halfway" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [
        "{ \"edge\":{ \"sends\":\"2\", \"accepts\":[\"1\", \"2\"] } }",
        "{ \"edge\":{ \"sends\":\"1\", \"accepts\":[\"1\", \"2\"] } }",
      ]
    }
  }

  variables {
    edge = { sends = "1", accepts = ["1"] }
  }

  expect_failures = [output.edge]
}

# This apply began to accept the next secret and failed before the API did.
run "next_secret_that_an_apply_only_began_to_accept" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names = ["/readplane/shop/begun", "/readplane/shop/record"]
      values = [
        "{ \"edge\":{ \"sends\":\"1\", \"accepts\":[\"1\", \"2\"] } }",
        "{ \"edge\":{ \"sends\":\"1\", \"accepts\":[\"1\"] } }",
      ]
    }
  }

  variables {
    edge = { sends = "2", accepts = ["1", "2"] }
  }

  expect_failures = [output.edge]
}

run "locked_edge_on_a_live_stack" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/record"]
      values = ["{ \"user_pool\":\"own\" }"]
    }
  }

  expect_failures = [output.edge]
}

run "unlocked_edge_on_a_live_stack" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/record"]
      values = ["{ \"user_pool\":\"own\" }"]
    }
  }

  variables {
    edge = { sends = "1", accepts = null }
  }

  assert {
    condition     = output.edge.sends == "1"
    error_message = "A live stack may get an edge without a lock."
  }
}

# The first apply of this stack failed, so nobody uses it yet.
run "locked_edge_of_a_new_stack" {
  command = plan

  module {
    source = "./modules/record"
  }

  override_data {
    target = data.aws_ssm_parameters_by_path.this
    values = {
      names  = ["/readplane/shop/begun"]
      values = ["{ \"edge\":{ \"sends\":\"2\", \"accepts\":[\"1\", \"2\"] } }"]
    }
  }

  assert {
    condition     = output.edge.sends == "2"
    error_message = "A new stack may be locked from the beginning."
  }
}
