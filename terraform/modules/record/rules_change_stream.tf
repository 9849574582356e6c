# Rules for changes of the change stream. It holds changes until `apply-stream` has read them, and the checkpoint table
# beside it says how far each source is read.
locals {
  recorded_stream = local.recorded.change_stream

  stream_goes  = local.recorded_stream != null && var.change_stream == null
  stream_keeps = !(local.stream_goes && try(local.recorded_stream.protected, false))

  # Shards before and after; null if Kinesis chooses them, or if there is no stream.
  shards_before = try(local.recorded_stream.shards, null)
  shards_after  = try(var.change_stream.shards, null)

  # Kinesis can at most double and at most halve the number of shards at once.
  shards_fit = local.shards_before == null || local.shards_after == null ? true : (
    local.shards_after <= 2 * local.shards_before && 2 * local.shards_after >= local.shards_before
  )
}

output "change_stream" {
  description = "The change stream for the next record: its shards, and whether it is protected; null without sources."
  value       = var.change_stream

  precondition {
    condition     = local.stream_keeps
    error_message = <<-EOT
      Keep a source, set change_stream.deletion_protection to false, and run terraform apply. Then remove the last
      source. Drain the change stream first: it may hold changes that `apply-stream` hasn't read, and Terraform
      deletes it and every checkpoint with the last source. docs/lifecycle.md has the steps.
    EOT
  }

  precondition {
    condition     = local.shards_fit
    error_message = <<-EOT
      Set change_stream.shards to at most ${2 * coalesce(local.shards_before, 1)} and at least
      ${ceil(coalesce(local.shards_before, 1) / 2)}, because Kinesis can at most double or halve the
      ${coalesce(local.shards_before, 1)} shards of the stream at once. Go further in another apply.
    EOT
  }
}
