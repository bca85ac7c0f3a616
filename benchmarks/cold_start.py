"""From `afterglow serve` to its first page: to the HTML, to the API's health, to the last of the page.

On a folder whose demo exists already, and once on an empty one. Against a Streamlit app of one line, started
in the same run by `streamlit run` until its first page is complete. Nothing is cold but the processes: files
are in the system's cache, for both.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import figures, ground, visitors
from benchmarks.figures import Finding
from benchmarks.ground import Options
from learning_core.settings import settings

SERVE = [sys.executable, "-m", "learning_core", "serve"]


class Start(NamedTuple):
    """Seconds from the start to each answer."""

    html_s: float
    health_s: float
    page_s: float


def run(options: Options) -> list[Finding]:
    """Start once on an empty folder, then take turns with the bare app."""
    repetitions = 1 if options.quick else 7
    first = start_ours()
    starts, bare = [], []
    for _ in range(repetitions):
        starts.append(start_ours())
        bare.append(start_bare(settings().home))
    html, health, page = (list(column) for column in zip(*starts, strict=True))
    against = "Streamlit app of one line"
    return [
        figures.absolute("cold start: first ever, with demo, to the first page", [first.page_s], unit="s"),
        figures.absolute("cold start: to the first HTML", html, unit="s"),
        figures.absolute("cold start: to the API's health", health, unit="s"),
        figures.absolute("cold start: to the first page", page, unit="s", target=6),
        figures.multiple("cold start: to the first page, relatively", page, bare, against=against, unit="s"),
    ]


def start_ours() -> Start:
    """Start everything and time the answers; they are asked for in the order in which they should come."""
    port = ground.free_port()
    begun = time.perf_counter()
    with ground.running(SERVE, ground.environment(PORT=str(port))) as process:
        html = ground.await_answer(f"http://127.0.0.1:{port}/", process)
        health = ground.await_answer(f"http://127.0.0.1:{port}/api/health", process)
        page = visitors.first_page(port)
    return Start(html - begun, health - begun, page - begun)


def start_bare(folder: Path) -> float:
    """Start an app of one line and return the seconds to its first page."""
    script = folder / "bare.py"
    script.write_text('import streamlit as st; st.write("Hello")\n')
    port = ground.free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    command += ["--browser.gatherUsageStats", "false"]
    begun = time.perf_counter()
    with ground.running(command, ground.environment(), cwd=folder) as process:
        ground.await_answer(f"http://127.0.0.1:{port}/", process)
        return visitors.first_page(port) - begun
