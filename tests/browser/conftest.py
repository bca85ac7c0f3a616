"""A real Chromium, and the whole product as `afterglow serve` starts it, with its demo."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

expect.set_options(timeout=30_000)  # CI machines are small and shared

ROOT = Path(__file__).parents[2]
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


@dataclass(frozen=True)
class Product:
    """A running server: its address, and the environment in which the command line finds it."""

    url: str
    environment: dict[str, str]

    def command(self, *arguments: str) -> str:
        run = [sys.executable, "-m", "learning_core", *arguments]
        return subprocess.run(
            run, env=self.environment, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout


@pytest.fixture(scope="session")
def product() -> Iterator[Product]:
    home = tempfile.mkdtemp(prefix="afterglow-browser-")
    Path(home).chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "AFTERGLOW_HOME": home, "PORT": str(port), "HOST": "127.0.0.1"}
    serve = [sys.executable, "-m", "learning_core", "serve"]
    with Path(home, "server.log").open("w") as log:
        server = subprocess.Popen(serve, env=environment, cwd=ROOT, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_it_answers(f"{url}/api/health", server)
            yield Product(url, environment)
        finally:
            server.terminate()
            server.wait(timeout=30)
    shutil.rmtree(home, ignore_errors=True)


def _wait_until_it_answers(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server stopped before it answered"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")
