"""The main paths through the running product, as its users walk them."""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PAGES = {
    "": "Overview",
    "feedback": "Feedback",
    "issues": "Common issues",
    "review": "Review",
    "review?view_of_review=Agreement": "Review",
    "demonstrations": "Demonstrations",
    "datasets": "Datasets",
    "admin": "Administration",
}
STREAMLITS_OWN = "[data-testid=stButtonGroup], [data-baseweb=select]"
"""Controls that Streamlit colours and sizes: the chosen segment in dark mode, a select's clear button."""


@pytest.fixture
def troubles(page: Page, product) -> list[str]:
    """What a visitor's browser complains about: errors, refused content, failed requests, other servers."""
    found: list[str] = []

    def note_request(request: Request) -> None:
        if not request.url.startswith((product.url, "data:", "blob:")):
            found.append(f"asked {request.url}")

    def note_response(response: Response) -> None:
        # On a deep link Streamlit looks for its own routes beside the page first.
        if response.status >= 400 and "/_stcore/" not in response.url:
            found.append(f"{response.status} from {response.url}")

    def note_console(line: ConsoleMessage) -> None:
        if line.type == "error" and not line.text.startswith("Failed to load resource"):
            found.append(line.text)

    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", note_console)
    page.on("request", note_request)
    page.on("response", note_response)
    return found


def open_page(page: Page, product, path: str, title: str) -> None:
    """Open a page of the demo; other tests of the same product make other organisations."""
    page.goto(f"{product.url}/{path}{'&' if '?' in path else '?'}organization=Demo")
    expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)


@pytest.mark.parametrize(("path", "title"), PAGES.items())
def test_every_page_opens_by_its_address_without_trouble(page, product, troubles, path, title):
    open_page(page, product, path, title)
    expect(page.get_by_text("Simulated", exact=False).first).to_be_visible()
    assert troubles == []


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize(("path", "title"), PAGES.items())
def test_no_page_has_a_serious_accessibility_violation_of_ours(
    browser: Browser, product, colours, path, title
):
    context = browser.new_context(color_scheme=colours, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    open_page(page, product, path, title)
    looked_at = {"include": [["body"]], "exclude": [[STREAMLITS_OWN]]}
    found = Axe().run(page, context=looked_at).response["violations"]
    context.close()
    serious = [violation for violation in found if violation["impact"] in ("serious", "critical")]
    assert {violation["id"]: violation["nodes"][0]["html"][:200] for violation in serious} == {}


def test_a_viewer_cannot_open_the_administration_by_its_address(page, product):
    page.goto(f"{product.url}/admin?view=Product+manager")
    expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Administration", exact=True)).to_have_count(0)


def test_feedback_sent_over_http_appears_on_the_page(page, product):
    key = product.command("key", "create", "--organization", "demo", "--role", "engineer", "--name", "e2e")
    comment = "Sent from a test <script>alert(1)</script> and ![picture](http://example.com/x.png)"
    send(product, key.splitlines()[-1], "feedback", feedback_text=comment, feedback_type="thumbs_up")
    open_page(page, product, "feedback?execution=from-a-browser-test", "Execution")
    expect(page.get_by_text(comment).first).to_be_visible()


def test_the_widget_on_another_site_reaches_the_real_api(page, product):
    key = product.command("key", "create", "--organization", "demo", "--role", "engineer", "--name", "widget")
    key = key.splitlines()[-1]
    token = send(product, key, "widget/tokens", user_id="visitor-1")["token"]
    with another_site(f"""<!doctype html><html lang="en"><title>Host</title><p id="answer">Four.</p>
        <afterglow-feedback execution-id="from-a-browser-test" agent-id="browser-test" token="{token}"
            for="#answer"></afterglow-feedback>
        <script src="{product.url}/api/widget.js" async></script>""") as origin:
        page.goto(origin)
        page.get_by_role("button", name="Yes, helpful").click()
        expect(page.get_by_role("status")).to_have_text(re.compile("thank", re.IGNORECASE))
    request = urllib.request.Request(
        f"{product.url}/api/learning/feedback/stats/browser-test", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["thumbs_up_share"]["value"] == 1.0


def send(product, key: str, path: str, **fields: str) -> dict[str, str]:
    body = {"execution_id": "from-a-browser-test", "agent_id": "browser-test", **fields}
    request = urllib.request.Request(
        f"{product.url}/api/learning/{path}",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


@contextmanager
def another_site(html: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
