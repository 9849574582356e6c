"""Test how ops.tools finds Terraform and Python 3.13, and fetches a missing one from a local download site."""

import hashlib
import http.server
import io
import shutil
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import tools
from ops.console import ROOT, CommandError


class Site(http.server.ThreadingHTTPServer):
    """A fake download site on this machine. It serves files from memory and records the path of each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SiteHandler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.files: dict[str, bytes] = {}
        self.requests: list[str] = []


class SiteHandler(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        content = self.server.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Simulate a machine on which no tool is installed. Return the folder into which missing tools are fetched."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    for variable in ("http_proxy", "HTTP_PROXY", "UV_PYTHON_INSTALL_MIRROR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(tools, "LOCAL", tmp_path / ".local")
    return tmp_path / ".local"


def put_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def put_terraform(path: Path, version: str) -> None:
    put_program(path, f'echo \'{{"terraform_version": "{version}"}}\'')


def offer_terraform(site: Site, monkeypatch: pytest.MonkeyPatch, version: str = tools.TERRAFORM) -> str:
    """Let the site serve a zip with a fake Terraform, and pin the zip's checksum. Return the zip's path in the URL."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("LICENSE.txt", "a license")
        zipped.writestr("terraform", f'#!/bin/sh\necho \'{{"terraform_version": "{version}"}}\'\n')
    path = f"/terraform/{tools.TERRAFORM}/terraform_{tools.TERRAFORM}_{tools.platform_name()}.zip"
    site.files[path] = archive.getvalue()
    monkeypatch.setattr(tools, "TERRAFORM_SITE", site.url)
    digest = hashlib.sha256(archive.getvalue()).hexdigest()
    monkeypatch.setattr(tools, "TERRAFORM_SHA256", {tools.platform_name(): digest})
    return path


def unreachable_url() -> str:
    """Return a URL that can't be reached, because its port refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_the_terraform_on_path_goes_before_the_fetched_one(local: Path) -> None:
    assert tools.find_terraform() is None
    put_terraform(local / "bin/terraform", "1.11.4")
    assert tools.find_terraform() == local / "bin/terraform"
    put_terraform(local.parent / "bin/terraform", "1.12.0-rc1")
    assert tools.find_terraform() == local.parent / "bin/terraform"


@pytest.mark.parametrize("program", ['echo \'{"terraform_version": "1.10.9"}\'', "exit 126", "echo no version"])
def test_a_terraform_that_is_too_old_or_does_not_run_is_passed_over(program: str, local: Path) -> None:
    put_program(local.parent / "bin/terraform", program)
    assert tools.find_terraform() is None
    put_terraform(local / "bin/terraform", "1.11.4")
    assert tools.find_terraform() == local / "bin/terraform"


def test_a_missing_terraform_is_fetched_once(
    local: Path, site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = offer_terraform(site, monkeypatch)
    for _ in range(2):
        assert tools.provide("terraform") == local / "bin/terraform"
    assert site.requests == [path]
    assert site.url + path in capsys.readouterr().out, "the download is announced"
    assert [entry.name for entry in (local / "bin").iterdir()] == ["terraform"], "nothing else is left behind"


def test_two_runs_at_once_fetch_terraform_once(local: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = offer_terraform(site, monkeypatch)
    fetched: list[Path] = []
    threads = [threading.Thread(target=lambda: fetched.append(tools.provide("terraform"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert fetched == [local / "bin/terraform"] * 4
    assert site.requests == [path]


def test_an_archive_with_another_checksum_is_refused(local: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = offer_terraform(site, monkeypatch)
    site.files[path] += b"tampered"
    with pytest.raises(CommandError, match=r"has the SHA-256 \w{64}, not the pinned \w{64}"):
        tools.provide("terraform")
    assert list((local / "bin").iterdir()) == []


def test_a_download_that_breaks_off_is_refused(local: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = offer_terraform(site, monkeypatch)
    site.files[path] = site.files[path][:-100]
    with pytest.raises(CommandError, match="not the pinned"):
        tools.provide("terraform")
    assert list((local / "bin").iterdir()) == []


def test_a_site_that_refuses_connections_is_one_message_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TERRAFORM_SITE", unreachable_url())
    start = time.monotonic()
    with pytest.raises(CommandError, match=r"Terraform is missing and couldn't be fetched: .+ can't be downloaded"):
        tools.provide("terraform")
    assert time.monotonic() - start < 5


def test_a_site_that_does_not_respond_is_given_up_after_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "TIMEOUT", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(tools, "TERRAFORM_SITE", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(CommandError, match=r"can't be downloaded.+\nTo install it by hand"):
            tools.provide("terraform")
        assert time.monotonic() - start < 5


def test_a_missing_archive_is_reported_with_its_status(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    path = offer_terraform(site, monkeypatch)
    del site.files[path]
    with pytest.raises(CommandError, match=r"can't be downloaded \(Not Found\)"):
        tools.provide("terraform")


def test_an_unknown_platform_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(CommandError, match=r"can't be fetched for .+_riscv64"):
        tools.provide("terraform")


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux_amd64"),
        ("Linux", "aarch64", "linux_arm64"),
        ("Darwin", "x86_64", "darwin_amd64"),
        ("Darwin", "arm64", "darwin_arm64"),
    ],
)
def test_every_platform_has_a_pinned_terraform(
    system: str, machine: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert tools.platform_name() == name
    assert len(bytes.fromhex(tools.TERRAFORM_SHA256[name])) == 32


@pytest.fixture
def uv(local: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the project need Python 3.99, which this simulated machine lacks. Return the path of a fake uv.

    The fixture ``site`` is the site from which Python is downloaded.
    """
    monkeypatch.setattr(tools, "AWS_PYTHON", "3.99")
    monkeypatch.setattr(tools, "PYTHON", "3.99.1")
    monkeypatch.setattr(tools, "PYTHON_SITE", site.url)
    # Link ops/find-python into the test's folder. The script searches for Python in the folder .local of the project
    # that contains the script, and the test must not use the real .local.
    script = local.parent / "ops/find-python"
    script.parent.mkdir()
    script.symlink_to(ROOT / "ops/find-python")
    monkeypatch.setattr(tools, "ROOT", local.parent)
    monkeypatch.setenv("HOME", str(local.parent / "home"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    program = local / "uv/bin/uv"
    program.parent.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("fake-uv"), program)
    (local / "uv/.made-from-lock").write_bytes(tools.UV_LOCK.read_bytes())
    return program


def test_a_missing_python_is_installed_by_uv_once(local: Path, uv: Path) -> None:
    for _ in range(2):
        assert tools.provide("python") == local / "python/cpython-3.99.1-linux/bin/python3.99"
    assert (local.parent / "calls").read_text() == "python install --no-bin 3.99.1\n"
    assert not (local.parent / "home").exists(), "nothing is written outside the project's folder"


def test_without_the_download_site_uv_is_not_even_started(
    local: Path, uv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "PYTHON_SITE", unreachable_url())
    with pytest.raises(CommandError, match=r"Python 3\.99.+is missing and couldn't be fetched: .+ can't be reached"):
        tools.provide("python")
    assert not (local.parent / "calls").exists()


def test_a_failing_uv_is_reported_with_its_output(uv: Path) -> None:
    put_program(uv, "echo checksum mismatch >&2; exit 2")
    with pytest.raises(CommandError, match=r"Python 3\.99[\s\S]+checksum mismatch[\s\S]+install it by hand"):
        tools.provide("python")


def test_the_running_python_is_taken_if_it_has_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "AWS_PYTHON", f"{sys.version_info.major}.{sys.version_info.minor}")
    assert tools.find_python() == Path(sys.executable)


def test_a_failure_is_a_message_without_a_traceback(tmp_path: Path) -> None:
    env = {"PATH": str(tmp_path), "https_proxy": unreachable_url()}
    done = subprocess.run(
        [sys.executable, "-m", "ops.tools", "terraform"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    fetched = (ROOT / ".local/bin/terraform").exists()
    assert done.returncode == (0 if fetched else 1)
    assert "Traceback" not in done.stderr and ("Error: Terraform is missing" in done.stderr or fetched)
