"""Reviewing by keyboard in the running product: nothing is lost, nothing is stored twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PREPARE = """
import sys
from learning_core import access, db
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import ExecutionEntry, FeedbackEntry
from learning_core.feedback.executions import record

with db.shared_session() as session:
    access.create_organization(session, sys.argv[1])
    for number in range(30):
        name = {"execution_id": f"e{number}", "agent_id": "tax-advisor"}
        record(session, [ExecutionEntry(
            **name, input_text=f"Question {number}: when is the return due?", output_text="On the tenth.",
        )])
        collect(session, [FeedbackEntry(
            **name, id=f"f{number}", feedback_type="correction", rating=2,
            correction_text="On the fifteenth.",
            feedback_text="Wrong day <img src=x onerror=alert(1)> ![x](http://example.com/x.png)",
        )], "api")
"""

READ = """
import json, sys
from sqlalchemy import text
from learning_core import access, db

with db.shared_session() as session:
    organization = access.find_organization(session, sys.argv[1])
with db.organization_session(organization.id) as session:
    rows = session.execute(text(
        "SELECT example_id, decision, clarity, undone_at IS NOT NULL AS undone FROM expert_annotations"
        " ORDER BY created_at"
    ))
    print(json.dumps([[str(row.example_id), row.decision, row.clarity, row.undone] for row in rows]))
"""


@pytest.fixture
def organization(product) -> str:
    """An organisation with thirty corrections that wait; its name."""
    name = f"Keys {uuid4().hex[:8]}"
    run(product, PREPARE, name)
    return name


def run(product, script: str, *arguments: str) -> str:
    environment = {**os.environ, **product.environment}
    command = [sys.executable, "-c", script, *arguments]
    done = subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout


def judged(product, organization: str) -> list[list]:
    return json.loads(run(product, READ, organization.lower().replace(" ", "-")))


def open_deck(page: Page, product, organization: str) -> None:
    page.goto(f"{product.url}/review?organization={organization.replace(' ', '+')}")
    expect(question(page)).to_contain_text("Question")
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def question(page: Page):
    return page.locator("[data-ref=input]")


def saved(page: Page) -> None:
    expect(page.get_by_text("Saved", exact=True)).to_be_visible()


def press_and_see_another(page: Page, *keys: str) -> None:
    before = question(page).text_content()
    for key in keys:
        page.keyboard.press(key)
    expect(question(page)).not_to_have_text(before)


def test_twenty_examples_are_judged_by_keyboard_and_each_judgement_is_stored_once(
    page, product, organization
):
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    open_deck(page, product, organization)
    decisions = [
        (("5", "a"), "approve"),
        (("n",), "needs_revision"),
        (("x",), "reject"),
        (("3", "a"), "approve"),
    ]
    for number in range(20):
        press_and_see_another(page, *decisions[number % 4][0])
    saved(page)
    rows = judged(product, organization)
    assert [decision for _, decision, _, _ in rows] == [decisions[number % 4][1] for number in range(20)]
    assert len({example for example, *_ in rows}) == 20
    assert [clarity for _, _, clarity, _ in rows[:4]] == [1.0, None, None, 0.5]
    assert complaints == []


def test_undo_brings_the_example_back_and_takes_the_judgement_out(page, product, organization):
    open_deck(page, product, organization)
    first = question(page).text_content()
    press_and_see_another(page, "x")
    saved(page)
    page.keyboard.press("u")
    expect(question(page)).to_have_text(first)
    saved(page)
    press_and_see_another(page, "4", "a")
    saved(page)
    rows = judged(product, organization)
    assert [(decision, undone) for _, decision, _, undone in rows] == [("reject", True), ("approve", False)]
    assert len({example for example, *_ in rows}) == 1


def test_decisions_made_without_a_connection_arrive_when_it_is_back(page, product, organization):
    open_deck(page, product, organization)
    page.context.set_offline(True)
    for _ in range(3):
        press_and_see_another(page, "x")
    page.context.set_offline(False)
    expect(page.get_by_text("Saved", exact=True)).to_be_visible(timeout=60_000)
    rows = judged(product, organization)
    assert [decision for _, decision, _, _ in rows] == ["reject"] * 3
    assert len({example for example, *_ in rows}) == 3


def test_a_tab_that_closes_in_the_middle_loses_nothing(page, product, organization):
    open_deck(page, product, organization)
    for _ in range(4):
        press_and_see_another(page, "x")
    page.context.set_offline(True)
    press_and_see_another(page, "n")
    page.close(run_before_unload=False)
    # the store of the browser outlives the tab
    context = page.context
    context.set_offline(False)
    again = context.new_page()
    open_deck(again, product, organization)
    saved(again)
    rows = judged(product, organization)
    assert sorted(decision for _, decision, _, _ in rows) == ["needs_revision"] + ["reject"] * 4
    assert len({example for example, *_ in rows}) == 5


def test_what_a_stranger_wrote_is_shown_and_does_nothing(page, product, organization):
    alarms: list[str] = []
    page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: alarms.append(request.url) if "example.com" in request.url else None)
    open_deck(page, product, organization)
    expect(page.get_by_text("onerror=alert").first).to_be_visible()
    assert alarms == []


def test_a_product_manager_reads_and_does_not_judge(page, product, organization):
    page.goto(f"{product.url}/review?organization={organization.replace(' ', '+')}&view=Product+manager")
    expect(page.get_by_role("heading", name="Review", exact=True)).to_be_visible()
    page.get_by_text("Judge", exact=True).click()
    expect(page.get_by_text("Experts judge here")).to_be_visible()
    expect(page.get_by_text("Approve")).to_have_count(0)


def test_the_deck_fits_a_phone(page, product, organization):
    page.set_viewport_size({"width": 390, "height": 800})
    open_deck(page, product, organization)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
