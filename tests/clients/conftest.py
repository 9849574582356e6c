"""Fixtures that generate clients from the OpenAPI document of a stack on the AWS emulator.

tests/local/conftest.py applies the stack, and says how to use one stack for several runs. The generated clients stay in
.local/clients-generated, so that you can read them.
"""

import json
import shutil
from pathlib import Path

import pytest

from ops.console import ROOT, run_tool
from ops.local import emulator, session
from ops.local.stack import environment
from ops.terraform import environment as terraform_environment
from ops.terraform import terraform
from tests.clients import tools
from tests.local import conftest as local
from tests.local.support import Local

stack = local.stack
GENERATED = ROOT / ".local/clients-generated"


@pytest.fixture(scope="session")
def contract(stack: Local) -> Path:
    """Return the path of the file with the stack's own OpenAPI document, the Terraform output `openapi`."""
    folder = emulator.folder(stack.stack.name)
    command = [terraform(), f"-chdir={folder / 'terraform'}", "output", "-raw", "openapi"]
    path = folder / "openapi.json"
    path.write_text(run_tool(command, env=terraform_environment() | environment(stack.stack.endpoint)))
    return path


@pytest.fixture(scope="session")
def polled_stack(stack: Local) -> Local:
    """Let each source of the stack read its back office once, and return the stack."""
    for event in (stack.outputs.sources or {}).values():
        session.poll(stack.outputs, json.loads(event))
    return stack


@pytest.fixture(scope="session")
def typescript(contract: Path) -> Path:
    """Generate the TypeScript client into a project with the programs that call it, and compile the project.

    :returns: the project's folder
    """
    project = GENERATED / "typescript"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(tools.HERE / "typescript", project)
    tools.generate(contract, "typescript-fetch", project / "readplane")
    (project / "node_modules").symlink_to(tools.PACKAGES, target_is_directory=True)
    tools.compile_typescript(project)
    return project


@pytest.fixture(scope="session")
def python(contract: Path) -> Path:
    """Generate the Python client beside the programs that call it, and check the programs with mypy.

    :returns: the folder of the programs
    """
    project = GENERATED / "python"
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(tools.HERE / "python", project)
    tools.generate(contract, "python", project)
    tools.check_types(project)
    return project
