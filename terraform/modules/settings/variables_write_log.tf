# The write log, and how long a deleted item is remembered.

variable "write_log" {
  description = "Buffering, storage and processing of the write log."
  type = object({
    buffering_seconds      = optional(number, 60) # age of its buffer at which Firehose writes a log object to S3
    buffering_megabytes    = optional(number, 4)  # size of its buffer at which Firehose writes a log object to S3
    infrequent_access_days = optional(number, 30) # age at which S3 moves log objects to the storage class STANDARD_IA
    glacier_instant_days   = optional(number, 90) # age at which S3 moves log objects to the storage class GLACIER_IR
    apply_concurrency      = optional(number, 10) # largest number of `apply` executions that the apply queue starts
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.write_log.buffering_seconds >= 0 && var.write_log.buffering_seconds <= 900
    error_message = "Set write_log.buffering_seconds to 0 to 900, which Firehose allows for S3."
  }

  # Firehose allows a buffer of up to 128 MB. Readplane allows only 16 MB, because Firehose writes a full buffer to S3
  # as one object, and `apply` must apply all changes in an object within its timeout. Each megabyte can hold some 2,400
  # small changes.
  validation {
    condition     = var.write_log.buffering_megabytes >= 1 && var.write_log.buffering_megabytes <= 16
    error_message = <<-EOT
      Set write_log.buffering_megabytes to 1 to 16, because `apply` must finish an object within its timeout. If it
      can't, it starts the object again and again.
    EOT
  }

  # S3 refuses to move an object to the storage class STANDARD_IA before the object is 30 days old. The object must then
  # stay in STANDARD_IA for 30 days before S3 can move it on to GLACIER_IR.
  validation {
    condition = (
      var.write_log.infrequent_access_days >= 30
      && var.write_log.glacier_instant_days >= var.write_log.infrequent_access_days + 30
    )
    error_message = <<-EOT
      Set write_log.infrequent_access_days to at least 30, and glacier_instant_days to at least 30 days more.
    EOT
  }

  validation {
    condition     = var.write_log.apply_concurrency >= 2 && var.write_log.apply_concurrency <= 1000
    error_message = "Set write_log.apply_concurrency to 2 to 1000, which Lambda allows for a queue."
  }

  validation {
    condition     = alltrue([for number in values(var.write_log) : floor(number) == number])
    error_message = <<-EOT
      Set every number in write_log to a whole one, because Firehose, S3 and Lambda take no others.
    EOT
  }
}

variable "horizon_days" {
  description = "Days for which the tombstone of a deleted item is kept. `apply` quarantines older changes."
  type        = number
  default     = 30
  nullable    = false

  # A deleted item's tombstone is kept for horizon_days. They must exceed 14 days, because the dead-letter queue keeps a
  # message for 14 days. If an operator redrives an old change on the last of these days, the tombstone must still
  # exist. Otherwise the change would bring the deleted item back.
  validation {
    condition     = var.horizon_days >= 15 && floor(var.horizon_days) == var.horizon_days
    error_message = <<-EOT
      Set horizon_days to 15 or more. With less, a change that is redriven from the dead-letter queue, which keeps it
      for 14 days, could bring a deleted item back.
    EOT
  }
}
