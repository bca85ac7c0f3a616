"""A release, from the form to the rollback, as an ML engineer sees it."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.test_product import STREAMLITS_OWN
from tests.browser.test_prompts import open_page
from tests.browser.test_review import run

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

TELL = """
import sys
from learning_core import access, db
from learning_core.access import Caller
from learning_core.llm.templates import Prompt
from learning_core.prompts import versions
from learning_core.schema import Role

with db.shared_session() as session:
    organization = access.create_organization(session, sys.argv[1])
cora = Caller(organization.id, "Cora", Role.ENGINEER)
with db.organization_session(organization.id) as session:
    for words in ("Read the contract.", "Read the contract and name every date."):
        versions.save(session, cora, "contract-reader", Prompt.from_text(words), reason=words)
"""


def test_a_version_is_released_step_by_step_and_rolled_back(page, product):
    organization = f"Releases{uuid4().hex[:8]}"
    run(product, TELL, organization)

    # from the version to the form, which says what will happen
    open_page(page, product, "prompts?agent=contract-reader&version=2", organization)
    page.get_by_role("button", name="Put it into production").click()
    expect(page.get_by_text("v2 is to take over from v1.")).to_be_visible()
    page.get_by_label("Why is it released?").fill("Dates were missed.")
    page.get_by_role("button", name="Start the release").click()

    # it is under way with few users
    expect(page.get_by_role("heading", name="Release 1 of contract-reader")).to_be_visible()
    expect(page.locator("[aria-current=step]")).to_contain_text("5 % of users")
    expect(page.get_by_text("Dates were missed.").first).to_be_visible()
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
    looked_at = {"include": [["body"]], "exclude": [[STREAMLITS_OWN]]}
    found = Axe().run(page, context=looked_at).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []

    # and is taken back: one click, and one to confirm with a reason
    page.get_by_role("button", name="Roll back").click()
    page.get_by_label("Reason").fill("It invents dates.")
    page.get_by_role("button", name="Roll back now").click()
    expect(page.get_by_text(re.compile("Taken back on"))).to_be_visible()
    expect(page.get_by_text("It invents dates.").first).to_be_visible()
