"""Test how the emulator of a local run is started."""

import socket

import pytest

from ops.console import CommandError
from ops.local import emulator

pytestmark = pytest.mark.usefixtures("runs_in_tmp_path")


def test_a_busy_port_is_refused_with_its_holder_and_another_port() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(CommandError, match=rf"Port {port} is in use by .+make demo PORT={port + 1}"):
            emulator.start("busy", port)
