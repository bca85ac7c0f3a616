"""The feedback widget in a real browser, on a page of another origin than the API it talks to.

``Api`` records what arrives and answers as told; it stands in for the server of ``learning_core.api``.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

WIDGET = Path(__file__).parents[2] / "learning_core" / "widget" / "afterglow-feedback.js"
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script> $& ${1}"
IDS = {"execution_id": "run-1", "agent_id": "helpdesk"}

Answer = tuple[int, dict[str, str], dict[str, Any] | None]
ACCEPTED: Answer = (201, {}, {"id": "f-1", "status": "recorded"})
WITHDRAWN: Answer = (204, {}, None)


def problem(status: int, title: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    return status, headers or {}, {"title": title, "status": status, **more}


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] | None

    @property
    def token(self) -> str:
        return self.headers["authorization"].removeprefix("Bearer ")


@dataclass
class Api:
    """What the stand-in received, and the answers it gives next (then it accepts everything)."""

    url: str
    received: list[Received] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    hold: threading.Event = field(default_factory=threading.Event)

    @property
    def bodies(self) -> list[dict[str, Any] | None]:
        return [request.body for request in self.received]


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(Quiet):
        def do_OPTIONS(self) -> None:
            headers = {
                "Access-Control-Allow-Origin": "*",
                "Access-Control-Allow-Methods": "POST, DELETE",
                "Access-Control-Allow-Headers": "authorization, content-type",
            }
            self.answer(204, headers)

        def do_GET(self) -> None:
            assert self.path == "/api/widget.js"
            self.answer(200, {"Content-Type": "text/javascript; charset=utf-8"}, WIDGET.read_bytes())

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content else None
            headers = {name.lower(): value for name, value in self.headers.items()}
            stand_in.received.append(Received(self.command, self.path, headers, body))
            assert stand_in.hold.wait(10)
            usual = ACCEPTED if self.command == "POST" else WITHDRAWN
            status, more, document = stand_in.answers.pop(0) if stand_in.answers else usual
            cors = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After"}
            kind = {"Content-Type": "application/json" if status < 400 else "application/problem+json"}
            encoded = b"" if document is None else json.dumps(document).encode()
            self.answer(status, {**cors, **(kind if encoded else {}), **more}, encoded)

        do_DELETE = do_POST

    with serving(Handler) as origin:
        stand_in = Api(f"{origin}/api")
        stand_in.hold.set()
        yield stand_in
        stand_in.hold.set()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 720, "height": 860})
    context.set_default_timeout(5_000)
    yield context.new_page()
    context.close()


WidgetHost = Callable[..., Locator]


@pytest.fixture
def widget_host(page: Page, api: Api) -> Iterator[WidgetHost]:
    """Open a page of another origin that embeds the widget, and return the widget."""
    shown: dict[str, Any] = {}

    class Handler(Quiet):
        def do_GET(self) -> None:
            found = self.path == "/"
            self.answer(200 if found else 404, shown["headers"], shown["html"] if found else b"")

    with serving(Handler) as origin:

        def embed(
            token: str | None = "token-1",
            *,
            attributes: str = 'for="#answer"',
            csp: str | None = None,
            head: str = "",
            answer: str = "Paris is the capital of France.",
        ) -> Locator:
            held = f'token="{token}"' if token else ""
            shown["html"] = f"""<!doctype html><html lang="en"><title>Host page</title>{head}
                <main><h1>Answer</h1><p id="answer">{answer}</p>
                <afterglow-feedback execution-id="run-1" agent-id="helpdesk" {held} {attributes}>
                </afterglow-feedback></main><script src="{api.url}/widget.js" async></script>""".encode()
            shown["headers"] = {"Content-Type": "text/html; charset=utf-8"}
            if csp:
                shown["headers"]["Content-Security-Policy"] = csp
            page.goto(origin)
            widget = page.locator("afterglow-feedback")
            expect(widget.get_by_role("button", name="Yes, helpful")).to_be_visible()
            record = """() => { window.seen = [];
                for (const name of ["afterglow-feedback", "afterglow-token-expired"])
                    document.addEventListener(name, (event) => window.seen.push([name, event.detail])); }"""
            page.evaluate(record)
            return widget

        yield embed


def status(widget: Locator) -> Locator:
    return widget.get_by_role("status")


def press(widget: Locator, name: str) -> None:
    widget.get_by_role("button", name=name, exact=True).click()


def set_token(widget: Locator, token: str) -> None:
    widget.evaluate("(element, token) => { element.token = token }", token)


def test_the_source_stays_below_15_kb() -> None:
    assert len(WIDGET.read_bytes()) < 15_000


@pytest.mark.parametrize(
    ("name", "feedback_type"), [("Yes, helpful", "thumbs_up"), ("No, not helpful", "thumbs_down")]
)
def test_a_thumb_is_sent_at_once(
    widget_host: WidgetHost, api: Api, page: Page, name: str, feedback_type: str
) -> None:
    widget = widget_host("token-1")
    press(widget, name)
    expect(status(widget)).to_have_text("Thank you.")
    [request] = api.received
    assert (request.method, request.path) == ("POST", "/api/learning/widget/feedback")
    assert (request.token, request.headers["content-type"]) == ("token-1", "application/json")
    assert "cookie" not in request.headers
    assert request.body == {**IDS, "feedback_type": feedback_type}
    expect(widget.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("window.seen") == [["afterglow-feedback", request.body]]


def test_the_row_is_compact_until_a_thumb_reveals_the_details(widget_host: WidgetHost) -> None:
    widget = widget_host()
    comment = widget.get_by_label("Comment")
    for hidden in (comment, widget.get_by_role("radiogroup"), widget.get_by_role("button", name="Send")):
        expect(hidden).to_be_hidden()
    press(widget, "Yes, helpful")
    expect(comment).to_be_visible()
    expect(widget.get_by_role("group", name="What was wrong?")).to_be_hidden()
    press(widget, "No, not helpful")
    expect(widget.get_by_role("group", name="What was wrong?")).to_be_visible()


def test_stars_are_chosen_by_keyboard(widget_host: WidgetHost, api: Api, page: Page) -> None:
    widget = widget_host()
    widget.get_by_role("button", name="More feedback").press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(widget.get_by_role("radio", name="4 of 5 stars")).to_be_checked()
    expect(widget.get_by_role("group", name="What was wrong?")).to_be_hidden()
    page.keyboard.press("ArrowLeft")
    expect(widget.get_by_role("group", name="What was wrong?")).to_be_visible()
    widget.get_by_role("button", name="Send").press("Enter")
    expect(status(widget)).to_have_text("Thank you.")
    assert api.bodies == [{**IDS, "feedback_type": "star_rating", "rating": 3}]


def test_each_request_carries_the_whole_feedback(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "No, not helpful")
    widget.get_by_role("radio", name="2 of 5 stars").check(force=True)
    for category in ("Incorrect", "Outdated", "Made up"):
        press(widget, category)
    press(widget, "Outdated")
    widget.get_by_label("Comment").fill("  It names the wrong river.  ")
    press(widget, "Send")
    expect(widget.get_by_label("Comment")).to_be_hidden()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Thank you.")
    whole = {
        **IDS,
        "feedback_type": "thumbs_down",
        "rating": 2,
        "feedback_text": "It names the wrong river.",
        "issue_categories": ["incorrect", "hallucination"],
    }
    assert api.bodies[1:] == [whole, {**whole, "feedback_type": "thumbs_up"}]


def test_a_thumb_does_not_send_words_still_being_written(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "Yes, helpful")
    widget.get_by_label("Comment").fill("Half a thou")
    press(widget, "No, not helpful")
    expect(status(widget)).to_have_text("Thank you.")
    assert api.bodies[-1] == {**IDS, "feedback_type": "thumbs_down"}
    expect(widget.get_by_label("Comment")).to_have_value("Half a thou")


def test_a_comment_alone_is_detailed_feedback(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "More feedback")
    widget.get_by_label("Comment").fill("Short")
    press(widget, "Send")
    expect(status(widget)).to_have_text("Thank you.")
    assert api.bodies == [{**IDS, "feedback_type": "detailed_feedback", "feedback_text": "Short"}]


def test_send_without_anything_asks_for_something(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "More feedback")
    press(widget, "Send")
    expect(status(widget)).to_have_text("Nothing to send yet.")
    assert not api.received


def test_an_edited_answer_is_a_correction(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "No, not helpful")
    press(widget, "Edit the answer")
    editor = widget.get_by_label("Your version")
    expect(editor).to_have_value("Paris is the capital of France.")
    expect(editor).to_be_focused()
    editor.fill("Lyon is not the capital of France.")
    press(widget, "Send")
    expect(editor).to_be_hidden()
    assert api.bodies[-1] == {
        **IDS,
        "feedback_type": "correction",
        "correction_text": "Lyon is not the capital of France.",
    }


def test_an_answer_opened_but_not_changed_is_no_correction(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host(attributes="")
    widget.evaluate("(element) => { element.answer = 'Two\\r\\nlines' }")
    press(widget, "Yes, helpful")
    press(widget, "Edit the answer")
    expect(widget.get_by_label("Your version")).to_have_value("Two\nlines")
    press(widget, "Send")
    expect(widget.get_by_label("Your version")).to_be_hidden()
    assert api.bodies[-1] == {**IDS, "feedback_type": "thumbs_up"}


def test_undo_withdraws_and_starts_afresh(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host("token-1")
    press(widget, "No, not helpful")
    widget.get_by_label("Comment").fill("Never mind")
    press(widget, "Send")
    press(widget, "Undo")
    expect(status(widget)).to_have_text("Withdrawn.")
    request = api.received[-1]
    assert (request.method, request.path) == ("DELETE", "/api/learning/widget/feedback")
    assert (request.token, request.body) == ("token-1", None)
    expect(widget.get_by_role("button", name="Undo")).to_be_hidden()
    expect(widget.get_by_role("button", name="No, not helpful")).to_have_attribute("aria-pressed", "false")
    expect(widget.get_by_role("button", name="More feedback")).to_be_focused()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Thank you.")
    assert api.bodies[-1] == {**IDS, "feedback_type": "thumbs_up"}


def test_an_expired_token_is_asked_for_and_the_feedback_resent(
    widget_host: WidgetHost, api: Api, page: Page
) -> None:
    widget = widget_host("stale")
    api.answers = [problem(401, "The token has expired")]
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Your session has expired. What you entered is kept.")
    assert page.evaluate("window.seen") == [["afterglow-token-expired", None]]
    set_token(widget, "fresh")
    expect(status(widget)).to_have_text("Thank you.")
    assert [request.token for request in api.received] == ["stale", "fresh"]
    assert api.bodies[0] == api.bodies[1] == {**IDS, "feedback_type": "thumbs_up"}


def test_a_page_that_renews_at_once_is_not_asked_for_ever(
    widget_host: WidgetHost, api: Api, page: Page
) -> None:
    widget = widget_host("stale")
    page.evaluate("""() => { let count = 0; document.addEventListener("afterglow-token-expired",
        (event) => { event.target.token = `stale-${++count}` }) }""")
    api.answers = [problem(401, "The token has expired")] * 2
    press(widget, "Yes, helpful")
    expect(status(widget)).to_contain_text("Your session has expired.")
    assert [request.token for request in api.received] == ["stale", "stale-1"]
    press(widget, "Try again")
    expect(status(widget)).to_have_text("Thank you.")
    assert len(api.received) == 3


def test_a_page_without_a_token_is_asked_for_one(widget_host: WidgetHost, api: Api, page: Page) -> None:
    widget = widget_host(None)
    press(widget, "Yes, helpful")
    expect(status(widget)).to_contain_text("Your session has expired.")
    assert page.evaluate("window.seen") == [["afterglow-token-expired", None]]
    assert not api.received
    widget.evaluate("(element) => element.setAttribute('token', 'first')")
    expect(status(widget)).to_have_text("Thank you.")


def test_properties_set_before_the_script_arrives_count(widget_host: WidgetHost, api: Api) -> None:
    early = """<script>new MutationObserver((changes, observer) => {
        const element = document.querySelector("afterglow-feedback");
        if (!element) return;
        Object.assign(element, { token: "early", labels: { undo: "Take back" } });
        observer.disconnect();
        }).observe(document, { childList: true, subtree: true })</script>"""
    widget = widget_host(None, head=early)
    press(widget, "Yes, helpful")
    expect(widget.get_by_role("button", name="Take back")).to_be_visible()
    assert [request.token for request in api.received] == ["early"]


def test_offline_keeps_what_was_typed_and_retries(widget_host: WidgetHost, api: Api, page: Page) -> None:
    widget = widget_host()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Thank you.")
    page.context.set_offline(True)
    widget.get_by_label("Comment").fill("Still here")
    press(widget, "Send")
    expect(status(widget)).to_have_text("The server cannot be reached. What you entered is kept.")
    expect(widget.get_by_label("Comment")).to_have_value("Still here")
    page.context.set_offline(False)
    press(widget, "Try again")
    expect(status(widget)).to_have_text("Thank you.")
    expect(widget.get_by_role("button", name="Try again")).to_be_hidden()
    expect(widget.get_by_role("button", name="More feedback")).to_be_focused()
    assert api.bodies[1:] == [{**IDS, "feedback_type": "thumbs_up", "feedback_text": "Still here"}]


def test_a_refused_field_is_named(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Thank you.")
    errors = [{"field": "feedback_text", "message": f"is not welcome: {HOSTILE}"}]
    api.answers = [problem(422, "Invalid input", detail="feedback_text", errors=errors)]
    widget.get_by_label("Comment").fill("Hm")
    press(widget, "Send")
    expect(status(widget)).to_have_text(f"Comment: is not welcome: {HOSTILE}")
    expect(widget.get_by_role("button", name="Try again")).to_be_hidden()
    expect(widget.get_by_label("Comment")).to_have_value("Hm")


def test_too_many_requests_wait_and_then_send(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    api.answers = [problem(429, "Too many requests", {"Retry-After": "1"})]
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Too many requests. Sending again in 1 s.")
    expect(status(widget)).to_have_text("Thank you.")
    assert len(api.received) == 2


def test_another_failure_shows_the_servers_words(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    api.answers = [problem(403, "Not permitted", detail="This page may not send feedback.")]
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text(
        "This could not be sent. This page may not send feedback. What you entered is kept."
    )
    press(widget, "Try again")
    expect(status(widget)).to_have_text("Thank you.")


def test_a_newer_choice_follows_the_one_on_its_way(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    api.hold.clear()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Sending…")
    press(widget, "No, not helpful")
    press(widget, "Yes, helpful")
    press(widget, "No, not helpful")
    api.hold.set()
    expect(status(widget)).to_have_text("Thank you.")
    assert [body["feedback_type"] for body in api.bodies if body] == ["thumbs_up", "thumbs_down"]


def test_another_execution_starts_afresh(widget_host: WidgetHost, api: Api) -> None:
    widget = widget_host()
    press(widget, "Yes, helpful")
    expect(status(widget)).to_have_text("Thank you.")
    widget.evaluate("(element) => element.setAttribute('execution-id', 'run-2')")
    expect(widget.get_by_role("button", name="Yes, helpful")).to_have_attribute("aria-pressed", "false")
    expect(status(widget)).to_have_text("")
    press(widget, "No, not helpful")
    expect(status(widget)).to_have_text("Thank you.")
    assert api.bodies[-1] == {**IDS, "execution_id": "run-2", "feedback_type": "thumbs_down"}


def test_hostile_text_stays_text(widget_host: WidgetHost, api: Api, page: Page) -> None:
    widget = widget_host(attributes="")
    widget.evaluate(
        "(element, text) => { element.answer = text; element.labels = { question: text, thanks: text } }",
        HOSTILE,
    )
    press(widget, "No, not helpful")
    press(widget, "Edit the answer")
    expect(widget.get_by_label("Your version")).to_have_value(HOSTILE)
    widget.get_by_label("Comment").fill(HOSTILE)
    press(widget, "Send")
    expect(status(widget)).to_have_text(HOSTILE)
    assert (api.bodies[-1] or {})["feedback_text"] == HOSTILE
    assert widget.evaluate("(element) => element.shadowRoot.querySelectorAll('img, script').length") == 0
    assert page.title() == "Host page"


def test_escape_closes_the_details_and_keeps_the_focus(widget_host: WidgetHost, page: Page) -> None:
    widget = widget_host()
    press(widget, "Yes, helpful")
    widget.get_by_label("Comment").fill("Draft")
    page.keyboard.press("Escape")
    expect(widget.get_by_label("Comment")).to_be_hidden()
    expect(widget.get_by_role("button", name="More feedback")).to_be_focused()
    page.keyboard.press("Enter")
    expect(widget.get_by_label("Comment")).to_have_value("Draft")


def test_typing_does_not_reach_the_pages_shortcuts(widget_host: WidgetHost, page: Page) -> None:
    widget = widget_host()
    page.evaluate("() => { window.keys = []; document.addEventListener('keydown', (e) => keys.push(e.key)) }")
    press(widget, "Yes, helpful")
    widget.get_by_label("Comment").press_sequentially("jk")
    assert page.evaluate("window.keys") == []


def test_a_strict_content_security_policy_leaves_it_whole(
    widget_host: WidgetHost, api: Api, page: Page
) -> None:
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    origin = api.url.removesuffix("/api")
    widget = widget_host(
        csp=f"default-src 'none'; script-src {origin}; connect-src {origin}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    press(widget, "No, not helpful")
    expect(status(widget)).to_have_text("Thank you.")
    expect(widget.get_by_role("button", name="Send")).to_have_css("background-color", "rgb(179, 70, 14)")
    assert complaints == []


def test_custom_properties_parts_and_labels_adapt_it(widget_host: WidgetHost, page: Page) -> None:
    style = """<style>afterglow-feedback { --afterglow-accent: rgb(0, 80, 160); --afterglow-radius: 2px;
        font-family: serif } afterglow-feedback::part(send) { text-transform: uppercase }</style>"""
    widget = widget_host(head=style)
    widget.evaluate("(element) => { element.labels = { send: 'Senden', star: '{n} von 5 Sternen' } }")
    press(widget, "Yes, helpful")
    send = widget.get_by_role("button", name="Senden")
    expect(send).to_have_css("background-color", "rgb(0, 80, 160)")
    expect(send).to_have_css("text-transform", "uppercase")
    expect(send).to_have_css("font-family", "serif")
    expect(widget.get_by_role("radio", name="3 von 5 Sternen")).to_be_attached()


@pytest.mark.parametrize(
    ("system", "theme", "surface"),
    [
        ("light", "", "rgb(255, 255, 255)"),
        ("dark", "", "rgb(30, 31, 36)"),
        ("dark", 'theme="light"', "rgb(255, 255, 255)"),
        ("light", 'theme="dark"', "rgb(30, 31, 36)"),
    ],
)
def test_the_theme_follows_the_system_unless_set(
    widget_host: WidgetHost, page: Page, system: Any, theme: str, surface: str
) -> None:
    page.emulate_media(color_scheme=system)
    widget = widget_host(attributes=theme)
    expect(widget.get_by_role("group", name="Was this answer helpful?")).to_have_css(
        "background-color", surface
    )


def test_reduced_motion_is_respected(widget_host: WidgetHost, page: Page) -> None:
    page.emulate_media(reduced_motion="reduce")
    widget = widget_host()
    press(widget, "Yes, helpful")
    expect(widget.get_by_role("button", name="Send")).to_have_css("transition-duration", "0s")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(widget_host: WidgetHost, api: Api, page: Page, theme: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    widget = widget_host(attributes=f'theme="{theme}" for="#answer"')
    press(widget, "No, not helpful")
    widget.get_by_role("radio", name="2 of 5 stars").check(force=True)
    press(widget, "Incorrect")
    press(widget, "Edit the answer")
    expect(status(widget)).to_have_text("Thank you.")
    api.answers = [problem(503, "Unavailable", detail="Come back soon.")]
    press(widget, "Send")
    expect(widget.get_by_role("button", name="Try again")).to_be_visible()
    found = Axe().run(page, context="afterglow-feedback").response["violations"]
    assert [(violation["id"], violation["nodes"]) for violation in found] == []
