"""A better prompt, from the button to production, as an ML engineer and a product manager see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from benchmarks import standin
from tests.browser.test_product import STREAMLITS_OWN
from tests.browser.test_review import run
from tests.fakes import ModelServer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SETTLE = """
import sys
from learning_core import access, db
from tests.prompts import routing

with db.shared_session() as session:
    organization = access.create_organization(session, sys.argv[1])
routing.settle(organization, sys.argv[2])
"""

TELL = """
import sys
from learning_core import access, db
from tests.pages import prompt_story

with db.shared_session() as session:
    organization = access.create_organization(session, sys.argv[1])
story = prompt_story.tell(organization.id)
prompt_story.tell(organization.id, agent="letter-writer", states=["improved"], version_count=1)
print(story.runs["improved"], story.runs["running"])
"""

FINISH = """
import sys
from sqlalchemy import text
from learning_core import access, db

with db.shared_session() as session:
    organization = access.find_organization(session, sys.argv[1])
with db.organization_session(organization.id) as session:
    session.execute(
        text("UPDATE training_runs SET status = :status, progress = progress || CAST(:told AS jsonb)"
             " WHERE id = CAST(:run AS uuid)"),
        {"run": sys.argv[2], "status": sys.argv[3], "told": '{"activity": "' + sys.argv[4] + '"}'},
    )
"""


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with ModelServer(lambda body: standin.answer(body["messages"])) as running:
        yield running


def open_page(page: Page, product, path: str, organization: str) -> None:
    page.goto(f"{product.url}/{path}{'&' if '?' in path else '?'}organization={organization}")


def test_a_better_prompt_is_found_proven_and_put_into_production(page, product, model):
    organization = f"Prompts{uuid4().hex[:8]}"
    run(product, SETTLE, organization, model.base_url)

    # somebody asks for it, and sees beforehand what it takes
    open_page(page, product, "prompts", organization)
    page.get_by_role("button", name="Improve this prompt").click()
    expect(page.get_by_text(re.compile(r"unseen examples, a gain of \d+ points"))).to_be_visible()
    page.get_by_role("button", name="Start the run").click()

    # the page follows it to the end by itself
    expect(page.get_by_text(re.compile("right instead of"))).to_be_visible(timeout=180_000)
    expect(page.get_by_text(re.compile("We are 95 % sure that it lies between"))).to_be_visible()
    assert model.log

    # what was gained can be looked at, and used
    expect(page.get_by_text(re.compile("scored 100 %")).first).to_be_visible()
    page.get_by_role("tab", name="Prompt").click()
    expect(page.locator("ins").first).to_be_visible()
    page.get_by_role("button", name="Make it a version").click()
    expect(page.get_by_role("heading", name="Version 2 of router")).to_be_visible()
    page.get_by_role("button", name="Put it there at once").click()
    page.get_by_role("button", name="Do it now").click()
    expect(page.get_by_text("production", exact=True)).to_be_visible()


def test_rows_lead_to_agent_version_run_and_candidate_and_back(page, product):
    organization = f"Rows{uuid4().hex[:8]}"
    run(product, TELL, organization)
    open_page(page, product, "prompts", organization)
    for table, row, words, address in (
        (0, 1, "In production: version 3", "agent=ticket-router"),
        (0, 1, "Version 2 of ticket-router", "version=2"),
        (1, 5, "Improvement of ticket-router", "run="),
        (0, 2, re.compile("Candidate . ·"), "candidate="),
    ):
        if address == "run=":
            page.get_by_role("button", name="← Prompts").click()
            expect(page.get_by_text("In production: version 3")).to_be_visible()
        choose_row(page, table, row)
        expect(page.get_by_text(words).first).to_be_visible()
        expect(page).to_have_url(re.compile(address))


def choose_row(page: Page, table: int, row: int) -> None:
    grid = page.get_by_test_id("stDataFrame").nth(table)
    expect(grid.get_by_test_id("data-grid-canvas")).to_be_visible()
    page.wait_for_timeout(1_500)  # the grid takes clicks only once it is drawn
    grid.click(position={"x": 15, "y": 52 + 35 * row})


def test_progress_appears_without_a_click_and_stops_with_the_run(page, product):
    organization = f"Live{uuid4().hex[:8]}"
    _, running = run(product, TELL, organization).split()
    slug = organization.lower()
    open_page(page, product, f"prompts?run={running}", organization)
    expect(page.get_by_text("Candidates so far")).to_be_visible()
    chart = page.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first
    chart.evaluate("chart => { chart.dataset.stays = 'yes' }")
    run(product, FINISH, slug, running, "running", "Checking the best candidate")
    expect(page.get_by_text("Checking the best candidate")).to_be_visible()
    expect(page.locator("[data-stays=yes]")).to_have_count(1)
    run(product, FINISH, slug, running, "cancelled", "Over")
    expect(page.get_by_text("The run was cancelled.")).to_be_visible()
    expect(page.get_by_text("Candidates so far")).to_have_count(0)


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_of_prompts_have_no_serious_accessibility_violation(browser: Browser, product, colours):
    organization = f"Axe{uuid4().hex[:8]}"
    improved, _ = run(product, TELL, organization).split()
    context = browser.new_context(color_scheme=colours, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    serious = {}
    for path, words in {
        "prompts": "Prompts",
        "prompts?agent=ticket-router": "In production: version 3",
        f"prompts?run={improved}": "Candidates",
        "admin?tab=Models": "No model yet",
    }.items():
        open_page(page, product, path, organization)
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        looked_at = {"include": [["body"]], "exclude": [[STREAMLITS_OWN]]}
        for found in Axe().run(page, context=looked_at).response["violations"]:
            if found["impact"] in ("serious", "critical"):
                serious[path, found["id"]] = found["nodes"][0]["html"][:200]
    context.close()
    assert serious == {}
