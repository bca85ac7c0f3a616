"""From a key to the next example on the screen: the review deck, in a real Chromium.

Against the same step made of Streamlit's own widgets: a button with a shortcut in a fragment that shows the
next text. Both run in the same browser, in turns; each time ends with the second frame after the change.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import text

from benchmarks import figures, ground
from benchmarks.figures import Finding
from benchmarks.ground import Options
from learning_core import db
from learning_core.feedback.executions import register_agents
from learning_core.settings import settings

KEYS_AT_MOST_MS = 50
DECISIONS = 20

NATIVE = """
import streamlit as st

@st.fragment
def show():
    place = st.session_state.setdefault("place", 0)
    st.text(f"Question {place}: " + "when is the return due? " * 10)
    st.button("Approve", shortcut="A", on_click=lambda: st.session_state.update(place=place + 1))

show()
"""

EXAMPLES = """
INSERT INTO learning_examples
    (agent_id, example_type, source, input_text, original_output, expected_output, priority)
SELECT id, 'correction', 'api', 'Question ' || n || ': ' || repeat('when is the return due? ', 10),
       repeat('On the tenth of the following month. ', 10), repeat('On the fifteenth of the month. ', 12),
       1 - n / 1000.0
FROM agents CROSS JOIN generate_series(1, 400) AS n
"""

TIME_CHANGES = """() => {
    const find = (root, selector) => {
        const found = root.querySelector(selector);
        if (found) return found;
        for (const host of root.querySelectorAll("*")) {
            const within = host.shadowRoot && find(host.shadowRoot, selector);
            if (within) return within;
        }
    };
    const shown = () => find(document, "[data-ref=input], [data-testid=stText]")?.textContent;
    window.times = [];
    window.addEventListener("keydown", () => {
        const before = shown(), begun = performance.now();
        const look = () => shown() === before ? requestAnimationFrame(look)
            : requestAnimationFrame(() => window.times.push(performance.now() - begun));
        requestAnimationFrame(look);
    }, true);
}"""
"""Note how long it takes from each key until another text has been painted."""


def run(options: Options) -> list[Finding]:
    """Judge by keyboard in the deck and in the native step, in turns."""
    db.migrate()
    organization = ground.new_organization("Deck")
    with db.organization_session(organization) as session:
        register_agents(session, {"tax-advisor"})
        session.execute(text(EXAMPLES))
    rounds = 1 if options.quick else 5
    with _pages() as (deck, native):
        medians = figures.take_turns(rounds, lambda: _median(deck, "x"), lambda: _median(native, "a"))
    with db.organization_session(organization) as session:
        stored = session.execute(
            text("SELECT count(DISTINCT example_id) FROM expert_annotations")
        ).scalar_one()
    return [
        figures.absolute(
            "deck: key to next example, median of 20", medians[0], unit="ms", target=KEYS_AT_MOST_MS
        ),
        figures.speedup("deck: key to next example", *medians, against="Streamlit's own widgets", unit="ms"),
        figures.proof("deck: decisions not stored, or twice", abs(rounds * DECISIONS - stored)),
    ]


def _median(page: Page, key: str) -> float:
    page.evaluate("window.times.length = 0")
    for number in range(DECISIONS):
        page.keyboard.press(key)
        while page.evaluate("window.times.length") <= number:
            page.wait_for_timeout(20)
        page.wait_for_timeout(250)  # as a very fast reader would
    page.wait_for_timeout(1_500)
    return median(page.evaluate("window.times"))


@contextmanager
def _pages() -> Iterator[tuple[Page, Page]]:
    script = settings().home / "native.py"
    script.write_text(NATIVE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        with _served(_ours) as ours, _served(lambda port: _native(port, script)) as theirs:
            yield (
                _open(browser, f"{ours}/review?organization=Deck", "[data-ref=input]"),
                _open(browser, theirs, "[data-testid=stText]"),
            )
        browser.close()


def _open(browser: Browser, url: str, ready: str) -> Page:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(url)
    page.wait_for_selector(ready, timeout=60_000)
    page.wait_for_timeout(1_000)
    page.evaluate(TIME_CHANGES)
    return page


@contextmanager
def _served(command: Callable[[int], list[str]]) -> Iterator[str]:
    port = ground.free_port()
    with ground.running(command(port), ground.environment(PORT=str(port))) as process:
        ground.await_answer(f"http://127.0.0.1:{port}/", process)
        yield f"http://127.0.0.1:{port}"


def _ours(_: int) -> list[str]:
    return [sys.executable, "-m", "learning_core", "serve"]


def _native(port: int, script: Path) -> list[str]:
    address = ["--server.port", str(port), "--server.address", "127.0.0.1"]
    quiet = ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    return [sys.executable, "-m", "streamlit", "run", str(script), *address, *quiet]
