# Which items table is read, and which one `ops/readplane rebuild items` makes beside it.

variable "items" {
  description = <<-EOT
    The generations of the items table. Generation 1 is the table `<name>-items`, and generation n is
    `<name>-items-<n>`. Change it only when `ops/readplane rebuild items` says what to set. It makes the table again
    from the write log beside the live one, without an interruption, and keeps a way back. See docs/rebuild.md.
  EOT
  type = object({
    # The generation that clients read and that is published.
    live = optional(number, 1)
    # The generation that is being made. `apply` writes each change to it too.
    building = optional(number)
    # The generation that was live before. `apply` writes each change to it too, so that it can be live again.
    former = optional(number)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for each in values(var.items) : each == null ? true : each >= 1 && each == floor(each)])
    error_message = "Set items.live, items.building and items.former to whole numbers from 1."
  }

  validation {
    condition     = var.items.building == null ? true : var.items.building > var.items.live
    error_message = <<-EOT
      Set items.building to a greater number than items.live, because the commands tell a switch from the way back by
      the numbers.
    EOT
  }

  validation {
    condition     = var.items.former != var.items.live
    error_message = "Set items.former to another number than items.live, or remove it."
  }

  validation {
    condition     = var.items.building == null || var.items.former == null
    error_message = <<-EOT
      Remove items.building or items.former, because at most one table stands beside the live one. End one rebuild
      before you begin another.
    EOT
  }
}
