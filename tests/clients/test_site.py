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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ops.console import ROOT
from ops.local.demo import countries
from ops.local.session import PASSWORD
from tests.clients import site_server, tools
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


def members(**types: str) -> list[dict[str, object]]:
    """Return the fields of a collection: name -> type, with `!` behind the type of a required member."""
    return [
        {
            "name": name,
            "required": kind.endswith("!"),
            "type": kind.rstrip("!").split(":")[0],
            "format": "date" if ":date" in kind else None,
            "max_length": 100_000 if ":long" in kind else None,
            "choices": None,
        }
        for name, kind in types.items()
    ]


def collection(name: str, read: str, fields: Any = (), **more: object) -> dict[str, object]:
    """Return a collection of config.json."""
    empty: dict[str, object] = {"title": None, "write_groups": [], "source": None, "snapshot": False}
    return {"name": name, "read": read, "fields": list(fields), **empty, **more}


def config_of(stack: Local) -> dict[str, object]:
    """Return config.json of the local stack, as the module `site` makes it of environments/local.tfvars."""
    country = members(alpha_2="string!", alpha_3="string!", name="string!", numeric="string!", official_name="string")
    notice = members(
        title="string!", body="string:long", hours="number", priority="integer", until="string:date", tags="array"
    )
    profile = members(display_name="string", language="string", preferences="object")
    return {
        "api": "",
        "documents": None,
        "sign_in": {
            "domain": stack.stack.endpoint,
            "client_id": stack.outputs.web_client_id,
            "scopes": ["openid", "email", f"{stack.outputs.name}/read", f"{stack.outputs.name}/write"],
        },
        "collections": [
            collection("countries", "public", country, write_groups=["editors"]),
            collection("currencies", "public", source="currencies", snapshot=True),
            collection("languages", "authenticated", source="languages"),
            collection("notices", "authenticated", notice, write_groups=["editors", "support"]),
            collection("profiles", "owner", profile),
            collection("subdivisions", "public", source="subdivisions"),
            collection("tariffs", "public"),
        ],
        "sources": [],
    }


def allow_redirects_to(stack: Local, url: str) -> None:
    """Add a URL to the callback and logout URLs of the stack's web client, as Terraform does for the edge's URL."""
    cognito = stack.root().client("cognito-idp")
    ids = {"UserPoolId": stack.outputs.user_pool_id, "ClientId": stack.outputs.web_client_id}
    client = cognito.describe_user_pool_client(**ids)["UserPoolClient"]
    kept = {name: value for name, value in client.items() if value and name not in ("CreationDate", "LastModifiedDate")}
    for name in ("CallbackURLs", "LogoutURLs"):
        kept[name] = [*{*kept.get(name, []), url}]
    cognito.update_user_pool_client(**kept)


@contextmanager
def serving(stack: Local) -> Iterator[str]:
    """Return the site's URL: that of the stack's distribution, or else of a server that stands for it."""
    if stack.outputs.edge_url:
        yield stack.outputs.edge_url.rstrip("/")
        return
    with site_server.serving(stack.outputs.api_url, config_of(stack), stack.stack.endpoint) as url:
        allow_redirects_to(stack, f"{url}/")
        yield url


@pytest.fixture(scope="session")
def site_url(polled_stack: Local) -> Iterator[str]:
    """The URL of the site. The stack has countries, and its sources have read their back office."""
    api = polled_stack.api(polled_stack.eve)
    with ThreadPoolExecutor(8) as pool:
        statuses = pool.map(lambda c: api("PUT", f"/items/countries/{c['alpha_2']}", c).status_code, countries())
        assert set(statuses) == {202}
    eventually(lambda: len(api("GET", "/items/countries?limit=200").json()["items"]) == 200)
    eventually(lambda: api("GET", "/items/countries/ZW").status_code == 200)
    with serving(polled_stack) as url:
        yield url


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
    print(tools.node("--test", "modules.test.mjs", cwd=project, env={"WEB": str(site_server.FILES / "assets")}))
