"""The JSON Schema of the request bodies. This module reads the schema from S3 once, at init, as Readplane does."""

import json
import os
from typing import Any

import boto3

_s3: Any = boto3.client("s3")
SCHEMA: dict[str, Any] = json.loads(_s3.get_object(Bucket=os.environ["BUCKET"], Key="schemas.json")["Body"].read())[
    "products"
]
