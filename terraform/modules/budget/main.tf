# A monthly budget of the stack, which AWS Budgets watches. It notifies people when 80 % of the sum is spent, and when
# AWS expects the month to end above the sum. A budget costs nothing.
#
# A budget belongs to the account and not to a Region, so a stack has one, in its primary Region. Its name contains the
# Region, because names of budgets are unique in the account.
resource "aws_budgets_budget" "this" {
  name         = "${var.name}-${var.region}"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = tostring(var.monthly_usd)
  limit_unit   = "USD"

  # AWS counts a cost to a tag only after somebody has activated the tag for cost allocation. Before that, a budget with
  # this filter sees 0 $ and never notifies anybody. The prefix "user:" is needed: without it, the budget also sees 0 $
  # (https://github.com/hashicorp/terraform-provider-aws/issues/39850). The values are built with format(), because "$"
  # before "{" would begin a template.
  dynamic "cost_filter" {
    for_each = var.tag == null ? [] : [var.tag]

    content {
      name   = "TagKeyValue"
      values = [format("user:%s$%s", cost_filter.value.key, cost_filter.value.value)]
    }
  }

  # AWS allows five notifications a budget, and ten addresses a notification.
  # https://docs.aws.amazon.com/aws-cost-management/latest/APIReference/API_budgets_NotificationWithSubscribers.html
  dynamic "notification" {
    for_each = { ACTUAL = 80, FORECASTED = 100 }

    content {
      comparison_operator        = "GREATER_THAN"
      notification_type          = notification.key
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = var.emails
    }
  }

  lifecycle {
    precondition {
      condition     = var.tag == null || try(var.tags[var.tag.key] == var.tag.value, false)
      error_message = <<-EOT
        Set the tag Stack = "${var.name}" in default_tags of the provider, or budget.whole_account to true. Without the
        tag, the budget would count nothing and stay silent.
      EOT
    }
  }
}
