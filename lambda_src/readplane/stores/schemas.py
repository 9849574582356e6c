"""The JSON Schemas of all collections, in one S3 object of which each function reads its own version at init."""

import json
from decimal import Decimal
from typing import Any

from ..aws.client import Client
from ..config import ConfigObject
from .config_object import load_config


def read_schemas(client: Client, config: ConfigObject) -> dict[str, Any]:
    """Read the JSON Schemas from S3, and return a dict from each collection's name to its schema.

    :param client: a client of S3.
    :raises ValueError: if the object's hash isn't the one in the settings, because then Terraform didn't write it.
    :raises AwsError: if S3 doesn't return the object.
    """
    # A float would round the schemas' numbers, and a rule such as `minimum` compares exactly.
    schemas: dict[str, Any] = json.loads(load_config(client, config), parse_float=Decimal)
    return schemas
