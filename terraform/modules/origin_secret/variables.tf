variable "generation" {
  description = "The generation of the secret that CloudFront sends. Each generation has another secret."
  type        = number
}

variable "accept_next" {
  description = "The API also accepts the secret of the generation after this one."
  type        = bool
}

variable "accept_previous" {
  description = "The API also accepts the secret of the generation before this one."
  type        = bool
}
