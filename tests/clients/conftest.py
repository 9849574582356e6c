"""Fixtures that generate clients from the OpenAPI document of a stack on the AWS emulator.

tests/local/conftest.py applies the stack, and says how to use one stack for several runs. The stack has the settings of
terraform/environments/local.tfvars and those in tests/clients/terraform, so use a stack that these tests have applied
(READPLANE_STACK=.local/clients KEEP=1). The generated clients stay in .local/clients-generated, so that you can read
them.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import ops.terraform
from ops.console import ROOT
from ops.local import emulator, session
from tests.clients import tools
from tests.local import conftest as local
from tests.local.support import Local
from tests.local.test_openapi import contract_of

wanted = local.wanted
stack = local.stack
GENERATED = ROOT / ".local/clients-generated"


@pytest.fixture(scope="session", autouse=True)
def more_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Add the settings of tests/clients/terraform to those of the local stack, before the stack is applied."""
    source = tmp_path_factory.mktemp("source") / "terraform"
    shutil.copytree(ops.terraform.SOURCE, source, ignore=shutil.ignore_patterns(".terraform", "terraform.tfstate*"))
    shutil.copytree(tools.HERE / "terraform", source, dirs_exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ops.terraform, "SOURCE", source)
        yield


@pytest.fixture(scope="session")
def contract(stack: Local) -> Path:
    """Return the path of a file with the stack's own OpenAPI document."""
    path = emulator.folder(stack.stack.name) / "openapi.json"
    path.write_text(json.dumps(contract_of(stack)))
    return path


@pytest.fixture(scope="session")
def polled_stack(stack: Local) -> Local:
    """Let each source of the stack read its back office once, and return the stack."""
    for source in stack.outputs.sources or ():
        session.poll(stack.outputs, {"source": source})
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


@pytest.fixture(scope="session")
def page(typescript: Path) -> Path:
    """Check and bundle the page that the tests open in Chromium. The page uses the generated TypeScript client.

    :returns: the folder with run.ts, which opens the page
    """
    project = typescript.with_name("browser")
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree(tools.HERE / "browser", project)
    (project / "node_modules").symlink_to(tools.PACKAGES, target_is_directory=True)
    tools.compile_typescript(project)
    tools.bundle(project / "page.ts", project / "build/page.js")
    shutil.copy(project / "page.html", project / "build")
    return project
