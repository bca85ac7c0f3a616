"""An experiment from the form to its decision, as an ML engineer and a product manager see it."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_product import STREAMLITS_OWN
from tests.browser.test_prompts import choose_row, open_page
from tests.browser.test_review import run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SLIDERS = "[data-testid=stSliderThumbValue]"
"""Written in the colour of buttons, which in the dark suits either white text on it or text on the page."""

TELL = """
import sys
from learning_core import access, db
from tests.pages import experiment_story

with db.shared_session() as session:
    organization = access.create_organization(session, sys.argv[1])
story = experiment_story.tell(organization.id, states=sys.argv[2:], ratings=300)
print(*story.experiments.values())
"""


def test_an_experiment_is_made_started_and_ended(page: Page, product) -> None:
    organization = f"Trying{uuid4().hex[:8]}"
    run(product, TELL, organization, "rolled back")
    open_page(page, product, "experiments", organization)

    # somebody sees beforehand how long it takes, and starts it
    page.get_by_role("button", name="New experiment").click()
    expect(page.get_by_text(re.compile("You would (likely|not) see"))).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Shorter answers")
    page.get_by_label("Name", exact=True).press("Tab")
    page.get_by_role("button", name="Start it").click()
    expect(page.get_by_role("heading", name="Shorter answers")).to_be_visible()
    expect(page.get_by_text("No look yet.")).to_be_visible()

    # it is ended with a reason, which the list then shows
    page.get_by_role("button", name="End it").click()
    page.get_by_label("Why?").first.fill("Needed elsewhere")
    page.get_by_label("Why?").first.press("Tab")
    page.get_by_role("button", name="End the experiment").click()
    expect(page.get_by_text("It ended before anything was known.")).to_be_visible()
    expect(page.get_by_text("Needed elsewhere")).to_be_visible()
    page.get_by_role("button", name="← Experiments").click()
    choose_row(page, 0, 1)
    expect(page.get_by_text("The treatment was taken back.")).to_be_visible()


def test_a_result_is_taken_away_as_a_page_and_as_a_table(page: Page, product) -> None:
    organization = f"Taking{uuid4().hex[:8]}"
    experiment = run(product, TELL, organization, "better").strip()
    open_page(page, product, f"experiments?experiment={experiment}", organization)
    with page.expect_download() as report:
        page.get_by_role("button", name="Report to print").click()
    told = report.value.path().read_text()
    assert "Treatment is better" in told
    with page.expect_download() as table:
        page.get_by_role("button", name="All looks as CSV").click()
    assert table.value.path().read_text(encoding="utf-8-sig").startswith("look,at,hours,metric")
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.set_content(told)
    assert page.locator("svg[role=img]").count() == 2
    assert failures == []


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_pages_of_experiments_have_no_serious_accessibility_violation(
    browser: Browser, product, colours
) -> None:
    organization = f"Seen{uuid4().hex[:8]}"
    experiment = run(product, TELL, organization, "better").strip()
    context = browser.new_context(color_scheme=colours, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(30_000)
    serious = {}
    for path, words in {
        "experiments": "Experiments",
        f"experiments?experiment={experiment}": "What changed",
        "experiments?make=experiment": "What it would show",
        "experiments?planner=1": "Try it on your own traffic",
    }.items():
        open_page(page, product, path, organization)
        expect(page.get_by_text(words, exact=True).first).to_be_visible()
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        looked_at = {"include": [["body"]], "exclude": [[STREAMLITS_OWN], [SLIDERS]]}
        for found in Axe().run(page, context=looked_at).response["violations"]:
            if found["impact"] in ("serious", "critical"):
                serious[path, found["id"]] = found["nodes"][0]["html"][:200]
    context.close()
    assert serious == {}
