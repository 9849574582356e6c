# The request limits of the routes that have none of their own.
locals {
  # The routes that anybody may call, because they need neither a token nor an API key.
  open_routes = toset([
    for key, route in local.routes_without_limits : key
    if length(try(route.scopes, [])) == 0 && !try(route.api_key, false)
  ])

  # Nothing but its limit bounds what an open route can cost, so it gets the lower limit open_throttle. If that is the
  # limit of the stage anyway, the route needs no settings of its own.
  open_throttle = var.api.open_throttle == var.api.throttle ? null : var.api.open_throttle

  routes = { for key, route in local.routes_without_limits : key => merge(route, {
    throttle = (
      try(route.throttle, null) != null ? route.throttle :
      contains(local.open_routes, key) ? local.open_throttle : null
    )
  }) }
}
