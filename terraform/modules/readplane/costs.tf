# The tags of the stack's resources, and the budget that counts the costs of the tag Stack.
#
# A provider gives its tags to every resource, and nothing in a plan knows AWS's rules for tags. A caller of this module
# passes the providers, so the rules hold for the caller's tags too.
data "aws_default_tags" "primary" {}

data "aws_default_tags" "replica" {
  count    = module.settings.regions.replica == null ? 0 : 1
  provider = aws.replica
}

module "tags" {
  source = "../tags"

  tags = data.aws_default_tags.primary.tags
}

module "replica_tags" {
  source = "../tags"
  count  = module.settings.regions.replica == null ? 0 : 1

  tags = data.aws_default_tags.replica[0].tags
}

module "budget" {
  source = "../budget"
  count  = module.settings.budget == null ? 0 : 1

  name        = module.record.name
  region      = module.settings.region
  monthly_usd = module.settings.budget.monthly_usd
  emails      = module.settings.budget_emails
  tag         = module.settings.budget.whole_account ? null : { key = "Stack", value = module.record.name }
  tags        = module.tags.tags
}
