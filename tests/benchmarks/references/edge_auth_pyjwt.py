"""`edge_auth` with PyJWT and cryptography, written as PyJWT's documentation shows it.

The settings come from SSM by boto3, or from a file that stands in for settings in the code. It checks a token as
Readplane does, except for the strict base64url and JSON, but it has no penalty box and no refresh of its settings.
"""

import json
import os
import re
import ssl
from pathlib import Path
from typing import Any

import jwt

if path := os.environ.get("PARAMETER"):
    SETTINGS = json.loads(Path(path).read_text())
else:
    import boto3

    client: Any = boto3.client("ssm", region_name="us-east-1")
    SETTINGS = json.loads(client.get_parameter(Name="/readplane/edge-auth/demo")["Parameter"]["Value"])

POOL = SETTINGS["pools"][0]
# On AWS the context would read the system's authorities. This bundle has about as many.
TRUSTED = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
KEYS = jwt.PyJWKClient(POOL["jwks_uri"], timeout=1, ssl_context=TRUSTED)
KEYS.get_signing_keys()
PATH = re.compile(r"/documents/([a-z][a-z0-9-]{0,62})/([A-Za-z0-9][A-Za-z0-9._~-]{0,255})")


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    request: dict[str, Any] = event["Records"][0]["cf"]["request"]
    values = request["headers"].get("authorization", [])
    scheme, _, token = values[0]["value"].partition(" ") if len(values) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        return refusal("401", "This document needs an access token.")
    try:
        key = KEYS.get_signing_key_from_jwt(token).key
        options: Any = {"require": ["exp"], "verify_aud": False}
        claims = jwt.decode(token, key, algorithms=["RS256"], issuer=POOL["issuer"], leeway=5, options=options)
    except jwt.PyJWTError:
        return refusal("401", "The access token isn't valid.")
    if claims.get("token_use") != "access" or claims.get("client_id") not in POOL["client_ids"]:
        return refusal("401", "The access token isn't valid.")
    if not set(claims.get("scope", "").split(" ")) & set(SETTINGS["scopes"]):
        return refusal("403", "The access token has none of the scopes.")
    match = PATH.fullmatch(request["uri"])
    if match and match[1] in SETTINGS["owner"]:
        request["uri"] = f"/documents/{match[1]}/{claims['sub']}/{match[2]}"
    elif not match or match[1] not in SETTINGS["shared"]:
        return refusal("404", "There is no such document.")
    return request


def refusal(status: str, detail: str) -> dict[str, Any]:
    headers = {"content-type": [{"key": "Content-Type", "value": "application/problem+json"}]}
    return {"status": status, "headers": headers, "body": json.dumps({"status": int(status), "detail": detail})}
