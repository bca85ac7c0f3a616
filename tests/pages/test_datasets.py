from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from learning_core import db
from learning_core.access import Caller
from learning_core.datasets import proposals, queries, versions
from learning_core.datasets.curation import Rules
from learning_core.schema import Role
from pages.components import frames
from tests.factories import approved_example
from tests.pages.conftest import shown
from tests.pages.test_hostile import HOSTILE, assert_inert


@pytest.fixture
def approve(organization: object) -> Callable[..., None]:
    """Store approved examples: `approve(20)`, `approve(domain="vat")`."""

    def store(times: int = 1, **overrides: Any) -> None:
        with db.organization_session(organization.id) as session:
            for _ in range(times):
                approved_example(session, **overrides)
        frames.forget()

    return store


@pytest.fixture
def freeze(organization: object) -> Callable[..., versions.Version]:
    """Freeze a dataset: `freeze("vat", minimum_quality=0.8)`."""

    def make(name: str = "vat", **rules: Any) -> versions.Version:
        cora = Caller(organization.id, "Cora", Role.ENGINEER)
        with db.organization_session(organization.id) as session:
            frozen = versions.freeze(session, cora, name, Rules(**rules))
        frames.forget()
        return frozen

    return make


def labels(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def warnings(app: AppTest) -> str:
    return "\n".join(warning.value for warning in app.warning)


def test_without_approved_examples_the_way_leads_to_review(visit: Callable[..., AppTest]) -> None:
    app = visit("datasets")
    assert "No example is approved yet" in shown(app)
    assert "Go to Review" in labels(app)
    assert "New dataset" not in labels(app)


def test_without_a_dataset_the_way_leads_to_the_form(
    visit: Callable[..., AppTest], approve: Callable[..., None]
) -> None:
    approve(3)
    app = visit("datasets")
    assert "No dataset yet" in shown(app)
    assert "3 examples are approved" in shown(app)
    app = press(app, "Make the first dataset")
    assert app.title[0].value == "New dataset"
    assert app.query_params["make"] == "new"


@pytest.mark.parametrize(
    ("view", "may"), [("Product manager", False), ("ML engineer", True), ("Expert", True)]
)
def test_only_curators_see_what_freezes(
    visit: Callable[..., AppTest],
    approve: Callable[..., None],
    freeze: Callable[..., Any],
    organization: object,
    view: str,
    may: bool,
) -> None:
    approve(5)
    version = freeze()
    approve(5)
    with db.organization_session(organization.id) as session:
        proposals.propose(session)
    app = visit("datasets", view=view)
    assert "found 5 new examples for “vat” since version 1" in shown(app)
    wanted = {"New dataset", "Freeze version 2", "Not now"}
    assert wanted & set(labels(app)) == (wanted if may else set())
    app = visit("datasets", view=view, dataset=str(version.id))
    assert ("New version" in labels(app)) is may
    app = visit("datasets", view=view, make="new")
    assert app.title[0].value == ("New dataset" if may else "Datasets")


def test_the_preview_follows_the_rules(visit: Callable[..., AppTest], approve: Callable[..., None]) -> None:
    approve(4, quality_score=0.95)
    approve(2, quality_score=0.75, human_verified=False, example_type="edge_case", agent_id="other")
    app = visit("datasets", make="new")
    assert "6 examples fit" in shown(app)
    assert "Of 6 approved. Good answer 4, Edge case 2." in shown(app)
    assert "Human-verified 66.7 %" in shown(app)
    assert len(app.dataframe[0].value) == 6
    app.number_input(key="rules_new_quality").set_value(0.9).run()
    assert "4 examples fit" in shown(app)
    assert "Mean quality 0.95" in shown(app)
    app.number_input(key="rules_new_quality").set_value(0.7).run()
    app.toggle(key="rules_new_verified").set_value(True).run()
    assert "4 examples fit" in shown(app)
    app.toggle(key="rules_new_verified").set_value(False).run()
    app.multiselect(key="rules_new_agents").set_value(["other"]).run()
    assert "2 examples fit" in shown(app)
    assert "Training takes 30.0 % or more. 95 % interval 0.0 % to" in shown(app)
    app.multiselect(key="rules_new_types").set_value(["demonstration"]).run()
    assert "Nothing fits these rules" in shown(app)
    assert not any(label.startswith("Freeze") for label in labels(app))


def test_rules_that_contradict_are_said_in_words(
    visit: Callable[..., AppTest], approve: Callable[..., None]
) -> None:
    approve(2)
    app = visit("datasets", make="new")
    app.date_input(key="rules_new_since").set_value("2026-02-01").run()
    app.date_input(key="rules_new_until").set_value("2026-01-01").run()
    assert "the first day lies after the last" in shown(app)


def test_freezing_takes_a_name_and_opens_the_version(
    visit: Callable[..., AppTest], approve: Callable[..., None], organization: object
) -> None:
    approve(10)
    app = visit("datasets", make="new")
    assert app.button(key="freeze").disabled
    app.text_input(key="rules_new_name").set_value("VAT advice").run()
    app.button(key="freeze").click().run()
    assert app.title[0].value == "VAT advice, version 1"
    assert "make" not in app.query_params
    assert "10 examples of 1 agent, frozen" in shown(app)
    assert "by Local developer" in shown(app)
    assert "Approved examples of quality 0.70 or more. Split: 70 % training" in shown(app)
    assert "Training takes 80.0 % or more. 0 examples that two or more judged" in shown(app)
    with db.reading_session(organization.id) as session:
        (version,) = queries.versions(session)
    assert app.query_params["dataset"] == str(version.id)
    assert any(code.value == version.content_hash for code in app.code)


def test_a_new_version_begins_with_the_rules_of_the_last(
    visit: Callable[..., AppTest], approve: Callable[..., None], freeze: Callable[..., Any]
) -> None:
    approve(10, domain="vat")
    version = freeze(
        domains=("vat",), minimum_quality=0.85, train_share=0.5, validation_share=0.25, test_share=0.25
    )
    app = press(visit("datasets", dataset=str(version.id)), "New version")
    key = f"rules_{version.id}"
    assert app.title[0].value == "New version of vat"
    assert app.number_input(key=f"{key}_quality").value == 0.85
    assert app.multiselect(key=f"{key}_domains").value == ["vat"]
    assert app.slider(key=f"{key}_ends").value == (50, 75)
    app = press(app, "Freeze version 2")
    assert "Nothing has changed since version 1" in shown(app)
    approve(1, domain="vat")
    app = press(visit("datasets", make=str(version.id)), "Freeze version 2")
    assert app.title[0].value == "vat, version 2"


def test_a_proposal_is_accepted_or_put_off(
    visit: Callable[..., AppTest],
    approve: Callable[..., None],
    freeze: Callable[..., Any],
    organization: object,
) -> None:
    approve(5)
    freeze()
    approve(5)
    with db.organization_session(organization.id) as session:
        proposals.propose(session)
    app = press(visit("datasets"), "Not now")
    assert "weekly look" not in shown(app)
    with db.organization_session(organization.id) as session:
        proposals.propose(session)
    frames.forget()
    app = press(visit("datasets"), "Freeze version 2")
    assert app.title[0].value == "vat, version 2"
    table = visit("datasets").dataframe[0].value
    assert table[["Dataset", "Version", "Examples"]].values.tolist() == [["vat", 2, 10], ["vat", 1, 5]]
    assert table["For training"].tolist() == [["agreement: unknown"]] * 2


def test_versions_are_compared_without_showing_test_examples(
    visit: Callable[..., AppTest], approve: Callable[..., None], freeze: Callable[..., Any]
) -> None:
    approve(10)
    freeze(train_share=1, validation_share=0, test_share=0)
    approve(10)  # alike ones might fill the test split as one group, and leave none of the first ten to it
    version = freeze(train_share=0.5, validation_share=0, test_share=0.5)
    app = visit("datasets", dataset=str(version.id), about="Compare", against="vat, version 1")
    assert "Added 10" in shown(app)
    assert "Removed 0" in shown(app)
    assert "stood in the other version's training split" in warnings(app)
    assert set(app.dataframe[-1].value["What"]) <= {"Added", "Moved"}
    for table in app.dataframe:
        assert not table.value["Split"].str.contains("Test").any()


def test_a_look_at_the_test_split_is_counted_once_it_is_shown(
    visit: Callable[..., AppTest], approve: Callable[..., None], freeze: Callable[..., Any]
) -> None:
    approve(20)
    version = freeze()
    app = visit("datasets", dataset=str(version.id), about="Test split")
    assert "4 examples are kept back" in shown(app)
    assert "Nobody has looked at it yet" in shown(app)
    assert not app.dataframe
    app.toggle(key=f"look_{version.id}").set_value(True).run()
    assert "looked at 1 time." in shown(app)
    uses, examples = app.dataframe
    assert uses.value[["split", "purpose", "used_by"]].values.tolist() == [
        ["Test", "read on its page", "Local developer"]
    ]
    assert len(examples.value) == 4
    app.run()
    assert "looked at 1 time." in shown(app)


def test_downloads_say_what_they_hold_and_offering_one_counts_nothing(
    visit: Callable[..., AppTest],
    approve: Callable[..., None],
    freeze: Callable[..., Any],
    organization: object,
) -> None:
    approve(10, original_output="Before.")
    approve(10)
    version = freeze()
    app = visit("datasets", dataset=str(version.id), about="Download")
    (button,) = app.get("download_button")
    assert button.proto.label == "Download 14 examples"
    assert not app.warning
    app.button_group(key="download_split").set_value("all").run()
    app.selectbox(key="download_format").select("trl_dpo").run()
    (button,) = app.get("download_button")
    assert button.proto.label == "Download 10 examples"
    assert "counts as a look" in warnings(app)
    with db.reading_session(organization.id) as session:
        assert queries.version(session, version.id).test_uses == 0


@pytest.mark.parametrize("address", ["not an id", "01a204b8-29d8-7769-8c30-7439d4e1dca7"])
def test_an_address_that_leads_nowhere_is_said_to(visit: Callable[..., AppTest], address: str) -> None:
    assert "No such version" in shown(visit("datasets", dataset=address))


def test_another_organisations_version_is_not_shown(
    visit: Callable[..., AppTest],
    approve: Callable[..., None],
    freeze: Callable[..., Any],
    other_organization: object,
) -> None:
    approve(3)
    version = freeze()
    app = visit("datasets", organization=other_organization.name, dataset=str(version.id))
    assert "No such version" in shown(app)
    app = visit("datasets", organization=other_organization.name, make=str(version.id))
    assert app.title[0].value == "Datasets"
    assert "No example is approved yet" in shown(app)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_text(
    visit: Callable[..., AppTest],
    approve: Callable[..., None],
    freeze: Callable[..., Any],
    organization: object,
    text: str,
) -> None:
    approve(6, input_text=text, expected_output=text, agent_id=text[:200], domain=text[:200])
    version = freeze(text[:80], agents=(text[:200],), domains=(text[:200],))
    approve(6, input_text=text, expected_output=text, agent_id=text[:200], domain=text[:200])
    with db.organization_session(organization.id) as session:
        proposals.propose(session)
    freeze(f"{text[:70]} two")
    assert_inert(visit("datasets"))
    assert_inert(visit("datasets", make=str(version.id)))
    for about in ("Examples", "Test split", "Compare", "Download"):
        assert_inert(visit("datasets", dataset=str(version.id), about=about))
