# The OpenAPI document of the API, in the form that API Gateway imports. API Gateway's extensions, whose names begin
# with "x-amazon-apigateway-", say what OpenAPI itself can't: who answers a request, who may call, and what API Gateway
# answers when it refuses a request. The contract for clients is another document (module `contract`).
#
# API Gateway imports OpenAPI 3.0, not 3.1.
locals {
  description = "Readplane: reads from the read plane, writes to the write log."

  # What API Gateway gets, and the same without the secrets of the resource policy.
  document       = local.documents["real"]
  shown_document = local.documents["shown"]

  documents = { for name in ["real", "shown"] : name => jsonencode(merge(
    {
      openapi = "3.0.1"
      # API Gateway takes the API's name and description from here.
      info       = { title = var.name, description = local.description, version = "1" }
      paths      = local.path_items
      components = { securitySchemes = local.security_schemes }

      "x-amazon-apigateway-gateway-responses" = local.gateway_responses
    },
    { for policy in [lookup(local.policies, name, null)] : "x-amazon-apigateway-policy" => policy if policy != null },
    local.endpoint_extension,
  )) }

  # Turning the default endpoint off takes effect with the next deployment of the stage. In the document, the setting
  # also changes the hash that triggers a deployment, and an import can't reset it.
  endpoint_extension = { for extension, settings in {
    "x-amazon-apigateway-endpoint-configuration" = { disableExecuteApiEndpoint = true }
  } : extension => settings if !local.default_endpoint }

  path_items = { for path, keys in local.keys_by_path : path => {
    for key in keys : lookup(local.extension_methods, split(" ", key)[0], lower(split(" ", key)[0])) => (
      local.operations[key]
    )
  } }

  # OpenAPI itself has no field for the methods that a path doesn't name.
  extension_methods = { ANY = "x-amazon-apigateway-any-method" }

  keys_by_path = { for key in keys(local.integrations) : split(" ", key)[1] => key... }

  operations = { for key, integration in local.integrations : key => {
    for field, value in {
      parameters                        = lookup(local.parameters, key, [])
      security                          = lookup(local.security, key, [])
      responses                         = local.responses[key]
      "x-amazon-apigateway-integration" = integration
    } : field => value if length(value) > 0
  } }

  # OpenAPI says "query" where API Gateway says "querystring". Only path parameters are required, because every request
  # has them.
  parameters = { for key, inputs in local.inputs : key => [for input in inputs : {
    name     = regex("^[a-z]+[.](.*)$", input)[0]
    in       = startswith(input, "querystring.") ? "query" : split(".", input)[0]
    required = startswith(input, "path.")
    schema   = { type = "string" }
  }] }

  # Route, preflight or refusal, as "METHOD /path" -> who answers its requests.
  integrations = merge(
    local.function_integrations,
    local.document_integrations,
    local.backend_integrations,
    local.fixed_integrations,
    local.preflight_integrations,
    local.refusal_integrations,
  )

  # Route, preflight or refusal -> its responses, with the headers that the integration sets. A proxy integration passes
  # on every response of a function or a back office. Such a route declares a 200 only because OpenAPI requires at least
  # one response.
  responses = { for key, integration in local.integrations : key => {
    for response in values(try(integration.responses, { any = { statusCode = "200" } })) : response.statusCode => merge(
      { description = "${response.statusCode} response" },
      { for mappings in try([response.responseParameters], []) : "headers" => {
        for header in keys(mappings) : trimprefix(header, "method.response.header.") => { schema = { type = "string" } }
      } },
    )
  } }

  # Route -> the field of its integration that lists the inputs of the cache key. A route without a cache has no such
  # field.
  cache_key_parameters = { for key in keys(local.routes) : key => {
    for field, inputs in { cacheKeyParameters = try(local.cached_routes[key].cache.key, []) } :
    field => [for input in inputs : "method.request.${input}"] if length(inputs) > 0
  } }
}

# Who may call a route.
locals {
  authorizers = {
    # With scopes, the Cognito authorizer accepts only access tokens. On a method without scopes, it would accept ID
    # tokens. It checks the signature, issuer, expiry and scopes of a token, but not the client that the token was
    # issued to. The functions check the client.
    access_token = {
      type                           = "apiKey"
      name                           = "Authorization"
      in                             = "header"
      "x-amazon-apigateway-authtype" = "cognito_user_pools"
      "x-amazon-apigateway-authorizer" = {
        type         = "cognito_user_pools"
        providerARNs = [var.user_pool_arn]
      }
    }

    # The authorizer that decides which backend an API key opens. API Gateway itself only checks that a key belongs to
    # some usage plan of the stage. So without this authorizer, one backend's key would open every other backend. (A
    # throttle of 0 on the other backends' methods is no solution, because AWS enforces throttles only on a best-effort
    # basis.) AWS too advises against authorising callers by API Gateway's own check of keys.
    #
    # API Gateway caches the authorizer's decision by key and applies it to every request with that key. So the decision
    # names all paths that the key opens and doesn't depend on the current request.
    key_owner = {
      type                           = "apiKey"
      name                           = "Unused" # API Gateway's own exports have this name where identitySource decides
      in                             = "header"
      "x-amazon-apigateway-authtype" = "custom"
      "x-amazon-apigateway-authorizer" = {
        type                         = "request"
        authorizerUri                = try(var.key_authorizer.invoke_arn, null)
        authorizerResultTtlInSeconds = 300
        identitySource               = "method.request.header.X-Api-Key"
      }
    }

    # API Gateway takes a scheme with this header for its own check of API keys. It counts a call in the key's usage
    # plan only if the method asks for a key. The authorizer alone isn't enough.
    api_key = { type = "apiKey", name = "x-api-key", in = "header" }
  }

  security_schemes = { for name, scheme in local.authorizers : name => scheme if contains(local.used_schemes, name) }
  used_schemes     = distinct(flatten([for needs in values(local.security) : keys(merge(needs...))]))

  # Route -> the schemes that a caller must satisfy, with the scopes of which a token must have one. All schemes of a
  # route are in one object, because a caller must satisfy them all.
  security = { for key, route in local.routes : key => length(route.scopes) == 0 && !route.api_key ? [] : [{
    for name, scopes in {
      access_token = length(route.scopes) > 0 ? route.scopes : null
      key_owner    = contains(keys(local.key_routes), key) ? [] : null
      api_key      = route.api_key ? [] : null
    } : name => scopes if scopes != null
  }] }
}
