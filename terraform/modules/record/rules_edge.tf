# Rules for the lock of the API. CloudFront takes minutes to bring a new secret to every edge location, and the API
# judges by its new policy at once. So the API must accept each secret before CloudFront sends it, and for a while
# after.
locals {
  # What the edge and the API may still do: what the last complete apply left, and what the last apply began.
  earlier_edges = [for edge in [local.left.edge, local.begun.edge] : edge if edge != null]

  # The generations that every edge location may send, and those that the API accepts for certain.
  sent = local.earlier_edges[*].sends
  accepted = [
    for edge in local.earlier_edges : edge.accepts
    if try(edge.accepts, null) != null
  ]

  # CloudFront begins to send a secret that the API may not accept yet.
  sends           = try(var.edge.sends, null)
  sends_too_early = local.sends == null ? false : !alltrue([for all in local.accepted : contains(all, local.sends)])

  # The API stops accepting a secret that CloudFront may still send.
  accepts         = try(var.edge.accepts, null)
  stops_too_early = local.accepts == null ? false : length(setsubtract(local.sent, local.accepts)) > 0

  # Before this, clients called the API directly, and they need time to change over.
  locks_too_early = local.is_recorded && local.left.edge == null && local.accepts != null
}

output "edge" {
  description = "The edge for the next record: the secret that it sends, and those that the API accepts."
  value       = var.edge

  precondition {
    condition     = !local.locks_too_early
    error_message = <<-EOT
      Set edge.origin_lock to none for the first apply with an edge, because clients of this stack call the API
      directly. Lock the API when every client calls the edge. docs/firewall.md has the steps.
    EOT
  }

  precondition {
    condition     = !local.sends_too_early
    error_message = <<-EOT
      Set edge.origin_secret.generation back to ${try(local.sent[0], 1)}, because the API doesn't accept a later secret
      yet, so clients would get 403 for minutes. Apply edge.origin_secret.accept_next = true first, and then raise the
      generation by 1. docs/firewall.md has the steps.
    EOT
  }

  precondition {
    condition     = !local.stops_too_early
    error_message = <<-EOT
      Let the API accept the secrets that CloudFront may still send: ${join(", ", distinct(local.sent))}. Set
      edge.origin_secret.generation to the last of them, or with accept_previous = true to the next one. Clients would
      get 403 for minutes otherwise. docs/firewall.md has the steps.
    EOT
  }
}
