"""Copies of the stack's function `poll` that know other sources than the stack declares.

`poll` takes no settings from an event. So a test that needs a source of its own deploys a copy of `poll`, as Terraform
deploys a new version. The copy has the stack's code, role and settings, except that its settings name another version
of the object ``config/sources.json``.
"""

import base64
import functools
import gzip
import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import botocore.config

from ops.build.targets import TARGETS
from ops.console import ROOT, CommandError
from tests.local.support import Local

PREFIX = "copy-of-poll-"


class PollCopies:
    """The copies of one stack's function `poll`. Each of them is made when it is first invoked."""

    def __init__(self, stack: Local) -> None:
        assert stack.outputs.poll_function, "the local settings declare sources"
        self._stack = stack
        # The client must not retry, because a retry would poll the back office again.
        config = botocore.config.Config(read_timeout=120, retries={"total_max_attempts": 1})
        client: Any = stack.root().client("lambda", config=config)
        self._functions = client
        self._names: dict[str, str] = {}
        live = {"FunctionName": stack.outputs.poll_function, "Qualifier": "live"}
        self._original: dict[str, Any] = self._functions.get_function(**live)["Configuration"]
        for function in self._functions.list_functions()["Functions"]:
            if function["FunctionName"].startswith(PREFIX):  # an earlier test run left it behind
                self._functions.delete_function(FunctionName=function["FunctionName"])

    @functools.cached_property
    def declared(self) -> dict[str, Any]:
        """What the live version of `poll` reads from S3: the members ``sources`` and ``schemas``."""
        config = self._settings()["config"]
        storage: Any = self._stack.root().client("s3")
        read = storage.get_object(Bucket=config["bucket"], Key=config["key"], VersionId=config["version_id"])
        declared: dict[str, Any] = json.loads(read["Body"].read())
        return declared

    def invoke(self, sources: Iterable[Mapping[str, Any]], event: Mapping[str, Any]) -> dict[str, Any]:
        """Invoke a copy of `poll` that knows these sources, and no others; return its response.

        :raises CommandError: if the copy raises an error.
        """
        invocation = self._functions.invoke(FunctionName=self._copy(sources), Payload=json.dumps(event).encode())
        response: dict[str, Any] = json.load(invocation["Payload"])
        if "FunctionError" in invocation:
            raise CommandError(f"The copy of poll failed: {response.get('errorMessage', response)}")
        return response

    def _copy(self, sources: Iterable[Mapping[str, Any]]) -> str:
        by_name = {source["name"]: source for source in sources}
        content = json.dumps({**self.declared, "sources": by_name}, sort_keys=True).encode()
        digest = hashlib.sha256(content).hexdigest()
        if digest not in self._names:
            self._names[digest] = self._create(content, digest)
        return self._names[digest]

    def _create(self, content: bytes, digest: str) -> str:
        settings = self._settings()
        config = settings["config"]
        storage: Any = self._stack.root().client("s3")
        put = storage.put_object(Bucket=config["bucket"], Key=config["key"], Body=content)
        settings["config"] = {**config, "version_id": put["VersionId"], "sha256": digest}
        variables = {**self._original["Environment"]["Variables"], "READPLANE_SETTINGS": _encode(settings)}
        name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
        self._functions.create_function(
            FunctionName=name,
            Role=self._original["Role"],
            Runtime=self._original["Runtime"],
            Handler=self._original["Handler"],
            Code={"ZipFile": (ROOT / "dist" / TARGETS["local"].zip_paths.functions).read_bytes()},
            Layers=[layer["Arn"] for layer in self._original.get("Layers", [])],
            Environment={"Variables": variables},
            Timeout=self._original["Timeout"],
            MemorySize=self._original["MemorySize"],
        )
        return name

    def _settings(self) -> dict[str, Any]:
        text = self._original["Environment"]["Variables"]["READPLANE_SETTINGS"]
        settings: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(text)))
        return settings


_copies: dict[str, PollCopies] = {}


def copies_of(stack: Local) -> PollCopies:
    """Return the copies of a stack's function `poll`, the same ones for each call."""
    name = stack.stack.name
    if name not in _copies:
        _copies[name] = PollCopies(stack)
    return _copies[name]


def _encode(settings: Mapping[str, Any]) -> str:
    return base64.b64encode(gzip.compress(json.dumps(settings).encode())).decode()
