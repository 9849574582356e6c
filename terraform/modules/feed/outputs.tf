output "queues" {
  description = "Store (`cache`, `database`) -> URL and ARN of its queue, and the URL of its dead-letter queue."
  value = { for store, queue in aws_sqs_queue.this : store => {
    url             = queue.url
    arn             = queue.arn
    dead_letter_url = aws_sqs_queue.dead_letters[store].url
  } }
}

output "resources" {
  description = "The same by names that say the store: `feed_cache`, `feed_cache_dead_letters`, …"
  value = merge(
    { for store, queue in aws_sqs_queue.this : "feed_${store}" => { url = queue.url, arn = queue.arn } },
    { for store, queue in aws_sqs_queue.dead_letters : "feed_${store}_dead_letters" => {
      url = queue.url
      arn = queue.arn
    } },
  )
}

output "function" {
  description = "Name and ARN of the function, ARN of its alias, and ARN of its role."
  value       = module.function.function
}

output "settings" {
  description = "The function's settings as JSON text, for tests."
  value       = local.settings
}

output "policies" {
  description = "Policies of the function's role and of the queues, for tests."
  value = {
    function     = module.function.policy
    queues       = local.queue_policies
    dead_letters = local.dead_letter_policies
  }
}

output "widgets" {
  description = "A row of the dashboard: title, metrics and statistic of each widget."
  value       = local.widgets
}
