from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from learning_core import serving
from learning_core.errors import InvalidInput


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.com", ""])
def test_listening_for_others_is_refused_while_nobody_needs_to_sign_in(host):
    with pytest.raises(InvalidInput, match="no sign-in is configured") as refusal:
        serving.require_loopback(host)
    assert refusal.value.field == "HOST"
    assert "SSH tunnel" in refusal.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.1.2.3"])
def test_listening_for_this_machine_is_fine(host):
    serving.require_loopback(host)


def test_a_taken_port_is_refused_and_another_one_suggested():
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", 0))
        other_program.listen()
        port = other_program.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"Port {port} is taken .* PORT={port + 1}") as refusal:
            serving.require_free("127.0.0.1", port)
    assert refusal.value.field == "PORT"
    serving.require_free("127.0.0.1", port)


def test_serving_refuses_before_it_starts_anything(home):
    with socket.socket() as other_program:
        other_program.bind(("127.0.0.1", 0))
        other_program.listen()
        port = str(other_program.getsockname()[1])
        for variables, says in (
            ({"HOST": "0.0.0.0"}, "HOST=0.0.0.0 would let others in, and no sign-in is configured."),
            ({"PORT": port}, f"Port {port} is taken by another program"),
        ):
            refused = subprocess.run(
                [sys.executable, "-m", "learning_core", "serve"],
                env={**os.environ, "AFTERGLOW_HOME": str(home), **variables},
                capture_output=True,
                text=True,
                check=False,
            )
            assert refused.returncode == 2
            assert refused.stderr.startswith(f"afterglow: {says}")
            assert list(home.iterdir()) == []
