"""Test how the emulator of a local run is started."""

import socket

import pytest

from ops.console import CommandError
from ops.local import emulator
from ops.local.ports import free_port

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


def test_a_busy_port_is_refused_with_its_holder_and_another_port() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} is in use by .+make demo PORT={port + 1}"):
            emulator.start("busy", port)


def test_the_distributions_port_is_free_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="is for the stack's CloudFront distribution"):
        emulator.start("busy", emulator.EDGE_PORT)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        monkeypatch.setattr(emulator, "EDGE_PORT", busy.getsockname()[1])
        with pytest.raises(CommandError, match=r"is in use by .+CloudFront distribution needs it\. Stop that program"):
            emulator.start("busy", free_port())
