"""Tests of the web client (web/) in Chromium: every page, sign-in, and what happens if something goes wrong.

The scenarios are in site/scenarios.ts. Each runs in a new browser. It fails if the browser logs an error that the
scenario doesn't expect, if a script or a style breaks the Content-Security-Policy, or if a request goes to another host
than localhost.
"""

import json
import os
import re
import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ops.console import ROOT
from ops.local.demo import countries
from ops.local.session import PASSWORD
from tests.clients import tools
from tests.local.support import Local, eventually

IMAGES = ROOT / "docs/images"
SCENARIOS = [
    "journey",
    "owners",
    "sizes",
    "keyboard",
    "announcements",
    "hostileData",
    "unknownRoutes",
    "failures",
    "offline",
    "staleSources",
    "outcomes",
    "signInAttacks",
    "signOut",
    "signOutWithoutRevoking",
    "expiredInTheMiddle",
]
"""The functions of site/scenarios.ts, each of which is a test."""


@pytest.fixture(scope="session")
def site_url(polled_stack: Local) -> str:
    """The URL of the stack's edge. The stack has countries, and its sources have read their back office."""
    assert polled_stack.outputs.edge_url
    api = polled_stack.api(polled_stack.eve)
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(lambda c: api("PUT", f"/items/countries/{c['alpha_2']}", c).status_code, countries())
        assert set(statuses) == {202}
    eventually(lambda: len(api("GET", "/items/countries?limit=200").json()["items"]) == 200)
    eventually(lambda: api("GET", "/items/countries/ZW").status_code == 200)
    return polled_stack.outputs.edge_url.rstrip("/")


@pytest.fixture(scope="session")
def project() -> Path:
    """Check the scenarios with the TypeScript compiler, and return their folder, with the npm packages in it."""
    folder = ROOT / ".local/clients-generated/site"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(tools.HERE / "site", folder)
    for name in ("package.json", "tsconfig.json", "unpack.ts"):
        shutil.copy(tools.HERE / "browser" / name, folder)
    (folder / "node_modules").symlink_to(tools.PACKAGES, target_is_directory=True)
    tools.compile_typescript(folder)
    return folder


def run(stack: Local, site: str, project: Path, scenario: str) -> None:
    """Run a scenario in a new Chromium. A failed scenario fails the test."""
    settings = {
        "site": site,
        "sign_in": stack.stack.endpoint,
        "password": PASSWORD,
        "editor": stack.eve.name,
        "reader": stack.alice.name,
        "unique": uuid.uuid4().hex[:8],
        "images": str(IMAGES),
    }
    env = tools.chromium_environment(project) | {"SETTINGS": json.dumps(settings)}
    print(tools.node("run.ts", scenario, cwd=project, env=env))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_site(polled_stack: Local, site_url: str, project: Path, scenario: str) -> None:
    run(polled_stack, site_url, project, scenario)


@pytest.mark.skipif("PICTURES" not in os.environ, reason="PICTURES=1 makes the pictures of the README again")
def test_pictures(polled_stack: Local, site_url: str, project: Path) -> None:
    IMAGES.mkdir(exist_ok=True)
    run(polled_stack, site_url, project, "pictures")
    for name in ("site-desktop.png", "site-phone.png"):
        assert (IMAGES / name).stat().st_size < 150_000, name


def test_every_scenario_is_a_test(project: Path) -> None:
    text = (project / "scenarios.ts").read_text()
    exported = re.findall(r"^export async function (\w+)", text, re.MULTILINE)
    assert sorted(exported) == sorted([*SCENARIOS, "pictures"])


def test_pure_modules(project: Path) -> None:
    print(tools.node("--test", "modules.test.mjs", cwd=project, env={"WEB": str(ROOT / "web/assets")}))
