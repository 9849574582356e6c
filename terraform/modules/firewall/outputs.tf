output "arn" {
  description = "ARN of the web ACL."
  value       = var.lock == null ? aws_wafv2_web_acl.edge[0].arn : aws_wafv2_web_acl.lock[0].arn
}

output "wcu" {
  description = "Capacity units that the rules use, by rule and together, for tests. AWS includes 1,500 in its price."
  value = {
    rules = var.lock == null ? merge(local.own_wcu, local.group_wcu) : { lock = local.lock_wcu }
    sum   = local.wcu + local.lock_wcu
  }
}

output "log_policy" {
  description = "The policy with which AWS WAF writes its log, for tests; null without a log."
  value       = var.logging ? local.log_policy : null
}

output "alarms" {
  description = "Key -> the alarm, for tests."
  value       = one(module.alarms[*].alarms)
}
