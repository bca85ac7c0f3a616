"""The story clicked from end to end: a correction, an expert's judgement, a frozen dataset."""

from __future__ import annotations

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_review import open_deck, organization, press_and_see_another, run, saved

__all__ = ["organization"]  # a fixture

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

RANK = """
import sys
from learning_core import access, db
from learning_core.review.runs import rank_new

with db.shared_session() as session:
    organization = access.find_organization(session, sys.argv[1])
rank_new(str(organization.id))
"""

FROZEN_EXECUTION = """
import sys
from sqlalchemy import text
from learning_core import access, db

with db.shared_session() as session:
    organization = access.find_organization(session, sys.argv[1])
with db.organization_session(organization.id) as session:
    print(session.execute(text(
        "SELECT executions.key FROM dataset_examples"
        " JOIN agent_feedback AS feedback ON feedback.id = feedback_id"
        " JOIN executions ON executions.id = execution_id LIMIT 1"
    )).scalar_one())
"""


def open_page(page: Page, product, path: str, organization: str) -> None:
    separator = "&" if "?" in path else "?"
    page.goto(f"{product.url}/{path}{separator}organization={organization.replace(' ', '+')}")


def test_a_correction_can_be_followed_from_the_comment_to_a_frozen_dataset(
    page, product, organization, tmp_path
):
    slug = organization.lower().replace(" ", "-")
    run(product, RANK, slug)

    # an expert approves what users wrote
    open_deck(page, product, organization)
    expect(page.get_by_text("Rated 2 of 5").first).to_be_visible()
    for _ in range(12):
        press_and_see_another(page, "5", "a")
    saved(page)

    # rules select it, and it is frozen
    open_page(page, product, "datasets", organization)
    page.get_by_role("button", name="Make the first dataset").click()
    page.get_by_label("Name").fill("VAT returns")
    page.get_by_label("Name").press("Enter")
    expect(page.get_by_role("heading", name=re.compile("examples fit"))).to_be_visible()
    page.get_by_role("button", name="Freeze version 1").click()
    expect(page.get_by_role("heading", name=re.compile("VAT returns"))).to_be_visible()

    # it goes out to a trainer
    page.get_by_role("tab", name="Download").click()
    with page.expect_download() as downloading:
        page.get_by_role("button", name=re.compile(r"Download \d+ examples")).click()
    rows = [json.loads(line) for line in downloading.value.path().read_text().splitlines()]
    assert rows
    assert all("On the fifteenth." in json.dumps(row) for row in rows)

    # and from the comment the whole way can be seen
    [execution] = run(product, FROZEN_EXECUTION, slug).split()
    open_page(page, product, f"feedback?execution={execution}", organization)
    expect(page.get_by_text("Wrong day").first).to_be_visible()
    page.get_by_role("button", name="See its history").click()
    expect(page.get_by_text("Local developer", exact=False).first).to_be_visible()
    page.get_by_role("button", name="See the dataset").click()
    expect(page.get_by_role("heading", name=re.compile("VAT returns"))).to_be_visible()
