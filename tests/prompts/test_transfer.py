from __future__ import annotations

import json

import pytest

from learning_core import db
from learning_core.access import Caller, audit_log
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.llm.templates import Message, Prompt
from learning_core.prompts import history, inputs, transfer, versions
from learning_core.schema import Role

AGENT = "tax-advisor"


@pytest.fixture
def story(save, transaction, engineer):
    """Three versions of an agent, the second in production."""
    first = save("Answer briefly.", reason="to begin with")
    second = save("Answer briefly.\nName the section.", parent=first.id, reason="no sources", key="sourced")
    with transaction() as session:
        shown = Prompt.from_text("Be kind.").with_examples([("Is {{input}} safe?", "Ja: €5.")])
        versions.save(session, engineer, AGENT, shown, parent=second.id, reason="tone")
        versions.label(session, engineer, AGENT, "production", 2)
        versions.label(session, engineer, AGENT, "staging", 3)


@pytest.fixture
def export(transaction):
    def whole(form="jsonl", agent=AGENT):
        with transaction() as session:
            return "".join(transfer.write(session, agent, form))

    return whole


@pytest.fixture
def take_in(transaction, engineer):
    """Take a file in: `take_in("prompt.md", "Be brief.")`."""

    def work(name, content, agent=AGENT):
        entries = transfer.parse(name, content if isinstance(content, bytes) else content.encode())
        with transaction() as session:
            return transfer.take_in(session, engineer, agent, entries)

    return work


def lines(*rows):
    return "\n".join(map(json.dumps, rows))


def told(words, **more):
    return {"messages": Prompt.from_text(words).told()} | more


def everything(session):
    found = list(history.all_of(session, AGENT))
    return [version._replace(id=None) for version in found]


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_what_goes_out_comes_in_elsewhere_as_it_was(
    story, export, transaction, other_organization, tmp_path, form
):
    file = tmp_path / f"prompts.{form}"
    file.write_text(export(form), encoding="utf-8")
    caller = Caller(other_organization.id, "Olga", Role.ADMIN)
    with db.organization_session(other_organization.id) as session:
        taken = transfer.take_in(session, caller, AGENT, transfer.read(file))
        there = everything(session)
    assert taken == (AGENT, ("v1", "sourced", "v3"), (), {"production": "sourced", "staging": "v3"}, ())
    with transaction() as session:
        assert there == everything(session)
    assert [version.author for version in there] == ["Edda"] * 3


def test_taking_in_what_is_there_changes_nothing(story, export, take_in, transaction):
    with transaction() as session:
        before = everything(session)
    taken = take_in("all.jsonl", export())
    assert (taken.added, taken.known, taken.labelled, taken.kept) == ((), ("v1", "sourced", "v3"), {}, ())
    with transaction() as session:
        assert everything(session) == before


def test_only_what_is_new_is_added_after_what_is_there(story, export, take_in, transaction):
    rows = [json.loads(line) for line in export().splitlines()]
    rows[2]["labels"] = []
    fourth = told("Answer in verse.", number=4, key="v4", parent="v3", reason="for fun", labels=["staging"])
    taken = take_in("all.jsonl", lines(fourth, *rows))
    assert (taken.added, taken.kept) == (("v4",), ("staging",))
    with transaction() as session:
        added = versions.find(session, AGENT, "v4")
    assert (added.number, added.parent, added.labels) == (4, "v3", ())


def test_versions_are_numbered_in_the_order_of_the_file_s_numbers(take_in, transaction):
    rows = [told("three", number=30), told("one", number=2), told("two", number=10)]
    assert take_in("a.jsonl", lines(*rows)).added == ("v1", "v2", "v3")
    with transaction() as session:
        assert [version.prompt.text for version in everything(session)] == ["one", "two", "three"]


def test_the_same_content_under_another_key_is_there_already(save, take_in):
    save("Be brief.", key="mine")
    taken = take_in("a.jsonl", lines(told("Be brief.", key="yours"), told("New.", parent="yours")))
    assert (taken.added, taken.known) == (("v2",), ("mine",))


def test_a_file_without_labels_puts_its_newest_version_into_production(take_in):
    assert take_in("a.jsonl", lines(told("one"), told("two"))).labelled == {"production": "v2"}


def test_a_label_that_is_set_already_stays(save, take_in, transaction):
    save("here")
    taken = take_in("a.json", json.dumps(told("there", labels=["production"])))
    assert (taken.labelled, taken.kept) == ({}, ("production",))
    with transaction() as session:
        assert history.labelled(session, AGENT).key == "v1"


def test_an_agent_without_prompts_takes_over_the_inputs_and_one_with_them_does_not(
    save, export, take_in, transaction, engineer
):
    save("first")
    with transaction() as session:
        inputs.declare(session, engineer, AGENT, ["input", "pages"])
    save("Look at {{pages}}.")
    file = export()
    assert take_in("a.jsonl", file, agent="new").added == ("v1", "v2")
    with transaction() as session:
        assert inputs.known(session, "new") == ("input", "pages")
    save("first", agent="other")
    with pytest.raises(InvalidInput, match="no input"):
        take_in("a.jsonl", file, agent="other")


def test_a_version_from_before_the_inputs_changed_comes_along(transaction, engineer, export, take_in):
    question = Prompt((Message("user", "{{question}}"),))
    with transaction() as session:
        versions.save(session, engineer, AGENT, Prompt.from_text("old"), reason="x")
        versions.store(session, engineer, AGENT, versions.Draft(question, "x", "Edda"))
        session.execute(inputs.SET_INPUTS, {"agent": versions.hold(session, AGENT)[0], "names": ["question"]})
        versions.label(session, engineer, AGENT, "production", 2)
    assert take_in("a.jsonl", export(), agent="new").added == ("v1", "v2")


# ---------------------------------------------------------------- other files


@pytest.mark.parametrize("name", ["prompt.md", "prompt.txt", "PROMPT.TXT"])
def test_a_text_is_one_prompt(take_in, transaction, name):
    assert take_in(name, "\ufeffBe brief.\nAmounts in €.\n").labelled == {"production": "v1"}
    with transaction() as session:
        [version] = everything(session)
    assert version.prompt == Prompt.from_text("Be brief.\nAmounts in €.")
    assert version.reason == f"From {name}."


@pytest.mark.parametrize(
    "document",
    [
        told("Be brief.", reason="x"),
        [told("Be brief.", reason="x")],
        {"versions": [told("Be brief.")]},
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{input}}"}],
    ],
)
def test_a_document_is_versions_one_version_or_its_messages(take_in, transaction, document):
    take_in("a.json", json.dumps(document))
    with transaction() as session:
        assert [version.prompt.text for version in everything(session)] == ["Be brief."]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.pdf", "x", "ends in .jsonl"),
        ("a.md", "  \n", "no prompt in the file"),
        ("a.jsonl", "", "no prompt in the file"),
        ("a.json", "[]", "no prompt in the file"),
        ("a.md", b"\xff", "not UTF-8"),
        ("a.jsonl", '{"messages": [', "line 1: not JSON"),
        ("a.json", "[" * 100_000, "not JSON"),
        ("a.json", "7", "Version 1 of the file"),
        ("a.json", '{"versions": 7}', "Version 1 of the file"),
        ("a.jsonl", lines(told("x"), {"text": "x"}), "Version 2 of the file: messages"),
        ("a.jsonl", lines(told("x", agent_id="a"), told("y", agent_id="b")), "several agents"),
        ("a.jsonl", lines(told("x", key="k"), told("y", key="k")), "'k' stands twice"),
        ("a.jsonl", lines(told("x", labels=["l"]), told("y", labels=["l"])), "'l' stands twice"),
        ("a.jsonl", lines(told("x", key="k", content_hash="other")), "Version k .*leave that out"),
        ("a.jsonl", lines(told("x", parent="gone")), "Version number 1 .*no prompt yet"),
        ("a.jsonl", lines(told("x", labels=["No"])), "A label is"),
        ("a.jsonl", lines(told("{{pages}}")), "no input"),
        ("a.jsonl", lines(told("x") | {"messages": [{"role": "cook", "text": "x"}]}), "system, user or"),
        ("a.jsonl", lines(told("x", created_at="3000-01-01")), "future"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_adds_nothing(take_in, transaction, name, content, says):
    with pytest.raises((InvalidInput, NotFound), match=says):
        take_in(name, content)
    with transaction() as session:
        assert history.entries(session, AGENT) == []


def test_a_key_that_means_another_content_here_adds_nothing(save, take_in, transaction):
    save("here", key="k")
    with pytest.raises(Conflict, match="Version k of the file: There is a version 'k'"):
        take_in("a.jsonl", lines(told("new"), told("there", key="k", number=1)))
    with transaction() as session:
        assert [row.key for row in history.entries(session, AGENT)] == ["k"]


def test_a_file_larger_than_any_prompts_is_refused(monkeypatch, take_in, tmp_path):
    monkeypatch.setattr(transfer, "LARGEST_FILE", 10)
    with pytest.raises(InvalidInput, match="is larger"):
        take_in("a.md", "x" * 11)
    with pytest.raises(InvalidInput, match="cannot be read"):
        transfer.read(tmp_path / "missing.md")


def test_there_are_two_forms_and_no_empty_file(save, export):
    with pytest.raises(NotFound, match="no agent 'nobody'"):
        export(agent="nobody")
    save("x")
    with pytest.raises(InvalidInput, match="jsonl or json"):
        export("yaml")


def test_taking_in_takes_the_right_and_is_put_on_record(organization, take_in, transaction):
    take_in("a.jsonl", lines(told("one", author="Ada")))
    with transaction() as session:
        log = audit_log(session)
    assert ["Edda", "prompt.imported"] in log[["actor", "action"]].values.tolist()
    expert = Caller(organization.id, "Eva", Role.EXPERT)
    with transaction() as session, pytest.raises(NotPermitted):
        transfer.take_in(session, expert, AGENT, transfer.parse("a.md", b"x"))
