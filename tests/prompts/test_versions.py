from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from learning_core import db
from learning_core.access import Caller, audit_log
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.feedback import executions
from learning_core.llm.templates import Message, Prompt
from learning_core.prompts import history, inputs, versions
from learning_core.schema import Role
from tests.factories import execution

AGENT = "tax-advisor"
TELL = Prompt.from_text("Be brief.")


@pytest.fixture
def report(transaction):
    """Report an execution under each of these prompt versions."""

    def each(*keys):
        with transaction() as session:
            executions.record(session, [execution(prompt_version=key) for key in keys])

    return each


@pytest.fixture
def audited(transaction):
    def entries(action):
        with transaction() as session:
            log = audit_log(session)
        return log[log["action"] == action]

    return entries


# ---------------------------------------------------------------- saving


def test_a_saved_prompt_comes_back_as_it_was(save, transaction):
    words = "Amounts in €.\n\n  Keep {{input}} as it is."
    saved = save(words, reason="  to begin with ")
    with transaction() as session:
        found = versions.find(session, AGENT, 1)
    assert found == saved
    assert found.prompt == Prompt.from_text(words)
    assert (found.number, found.key, found.author) == (1, "v1", "Edda")
    assert (found.reason, found.parent) == ("to begin with", None)
    assert found.content_hash == found.prompt.content_hash


def test_versions_count_up_and_know_what_they_were_made_from(save, transaction):
    first = save("one")
    second = save("two", parent=first.id)
    assert (second.number, second.key, second.parent) == (2, "v2", "v1")
    with transaction() as session:
        told = history.entries(session, AGENT)
    assert [(row.number, row.key, row.parent, list(row.labels)) for row in told] == [
        (2, "v2", "v1", []),
        (1, "v1", None, ["production"]),
    ]
    assert told[1].characters == len("one") + len("{{input}}")


def test_each_agent_counts_for_itself(save):
    save("one")
    assert save("one", agent="other").number == 1


def test_what_is_there_already_is_a_conflict_that_names_it(save, transaction, engineer):
    save("one")
    with pytest.raises(Conflict, match="'v1' of 'tax-advisor' says the same"):
        save("one")
    with transaction() as session:
        found, is_new = versions.save_or_find(
            session, engineer, AGENT, Prompt.from_text("one"), reason="again"
        )
    assert (found.key, is_new) == ("v1", False)


def test_what_is_there_under_another_key_is_a_conflict(save, transaction, engineer):
    save("one")
    with transaction() as session, pytest.raises(Conflict, match="'v1'"):
        versions.save_or_find(session, engineer, AGENT, Prompt.from_text("one"), reason="x", key="mine")


def test_a_key_is_a_version_s_alone(save):
    save("one", key="autumn")
    with pytest.raises(Conflict, match="'autumn' with another content"):
        save("two", key="autumn")


def test_a_version_that_never_was_reported_gets_a_key_that_never_was_either(save, report):
    report("v1", "v3", "mine", "v10")
    assert [save(words).key for words in ("one", "two", "three", "four")] == ["v2", "v4", "v5", "v6"]


def test_a_prompt_in_use_is_adopted_by_its_key(save, report, transaction):
    report("v1", "autumn")
    with transaction() as session:
        assert sorted(history.reported_keys(session, AGENT)) == ["autumn", "v1"]
    assert save("one", key="autumn").number == 1
    with transaction() as session:
        assert history.reported_keys(session, AGENT) == ["v1"]


def test_an_agent_is_known_from_its_first_prompt_on(save, transaction):
    save("one", agent="new agent/π")
    with transaction() as session:
        assert versions.find(session, "new agent/π", "v1").number == 1


@pytest.mark.parametrize("agent", ["", " a", "a\0", "x" * 201, "\ud800"])
def test_what_can_be_no_agent_s_key_is_refused(save, agent):
    with pytest.raises(InvalidInput, match="agent's key"):
        save("one", agent=agent)


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        (Prompt.from_text("Use {{pages}}."), "no input {{pages}}; it has {{input}}, {{context}}"),
        (Prompt((Message("system", "Answer."),)), "does not use {{input}}"),
        (Prompt(()), "at least one message"),
        (Prompt.from_text("a\0"), "without NUL"),
        (Prompt.from_text("x" * 200_001), "at most 200,000"),
    ],
)
def test_a_prompt_that_the_agent_cannot_use_is_refused(transaction, engineer, prompt, says):
    with transaction() as session, pytest.raises(InvalidInput, match=says.replace("{", r"\{")):
        versions.save(session, engineer, AGENT, prompt, reason="x")


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501, "a\0"])
def test_a_version_needs_a_reason(save, reason):
    with pytest.raises(InvalidInput, match="why this version"):
        save("one", reason=reason)


@pytest.mark.parametrize("key", ["", " ", "x" * 81, "a\0"])
def test_a_key_has_1_to_80_characters(save, key):
    with pytest.raises(InvalidInput, match="key has 1 to 80"):
        save("one", key=key)


def test_a_parent_is_a_version_of_the_same_agent(save):
    other = save("one", agent="other")
    with pytest.raises(InvalidInput, match="no version of this agent"):
        save("two", parent=other.id)


@pytest.mark.parametrize("role", [Role.VIEWER, Role.EXPERT])
def test_who_may_not_optimize_changes_nothing(organization, save, transaction, role):
    save("one")
    caller = Caller(organization.id, "Vera", role)
    attempts = [
        lambda session: versions.save(session, caller, AGENT, Prompt.from_text("two"), reason="x"),
        lambda session: versions.store(session, caller, AGENT, versions.Draft(TELL, "x", "Vera")),
        lambda session: versions.label(session, caller, AGENT, "staging", 1),
        lambda session: versions.unlabel(session, caller, AGENT, "staging"),
        lambda session: inputs.declare(session, caller, AGENT, ["input"]),
    ]
    for attempt in attempts:
        with pytest.raises(NotPermitted, match="may not optimize"), transaction() as session:
            attempt(session)
    with transaction() as session:
        assert [row.number for row in history.entries(session, AGENT)] == [1]


def test_many_who_save_at_once_get_numbers_of_their_own(organization, engineer):
    def save_one(place):
        with db.organization_session(organization.id) as session:
            words = Prompt.from_text(f"number {place}")
            return versions.save(session, engineer, AGENT, words, reason="x").number

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(save_one, range(12))) == list(range(1, 13))


def test_saving_is_put_on_record(save, audited):
    save("one")
    [entry] = audited("prompt.saved").to_dict("records")
    assert (entry["actor"], entry["subject"]) == ("Edda", AGENT)
    assert '"version": "v1"' in entry["details"]


# ---------------------------------------------------------------- labels


def test_the_first_version_is_in_production_and_no_later_one_by_itself(save, transaction):
    assert save("one").labels == ("production",)
    assert save("two").labels == ()
    with transaction() as session:
        assert history.labelled(session, AGENT).key == "v1"


def test_a_label_moves_and_every_move_is_put_on_record(save, transaction, engineer, audited):
    save("one")
    save("two")
    with transaction() as session:
        assert versions.label(session, engineer, AGENT, "production", "v2").labels == ("production",)
    with transaction() as session:
        versions.label(session, engineer, AGENT, "production", 2)
        assert history.labelled(session, AGENT).key == "v2"
    details = list(audited("prompt.labelled")["details"])
    assert details == [
        '{"after": "v2", "label": "production", "before": "v1"}',
        '{"after": "v1", "label": "production", "before": null}',
    ]


def test_labels_are_told_with_who_set_them_production_first(save, transaction, engineer):
    save("one")
    save("two")
    with transaction() as session:
        versions.label(session, engineer, AGENT, "a-b", 2)
        found = versions.labels(session, AGENT)
    assert [(one.name, one.key, one.number, one.set_by) for one in found] == [
        ("production", "v1", 1, "Edda"),
        ("a-b", "v2", 2, "Edda"),
    ]


def test_a_label_can_be_taken_away_except_production(save, transaction, engineer, audited):
    save("one")
    with transaction() as session:
        versions.label(session, engineer, AGENT, "staging", 1)
        versions.unlabel(session, engineer, AGENT, "staging")
        assert [one.name for one in versions.labels(session, AGENT)] == ["production"]
    assert '"before": "v1"' in audited("prompt.labelled")["details"].iloc[0]
    with transaction() as session, pytest.raises(NotFound, match="no label 'staging'"):
        versions.unlabel(session, engineer, AGENT, "staging")
    with transaction() as session, pytest.raises(Conflict, match="move it to another version"):
        versions.unlabel(session, engineer, AGENT, "production")


@pytest.mark.parametrize("name", ["", "Staging", "a b", "7", "x" * 41, "a\n", "ä"])
def test_a_label_is_made_of_few_letters(save, transaction, engineer, name):
    save("one")
    with transaction() as session, pytest.raises(InvalidInput, match="1 to 40 of a-z"):
        versions.label(session, engineer, AGENT, name, 1)


def test_a_name_is_either_a_label_or_a_key(save, transaction, engineer):
    save("one")
    with transaction() as session, pytest.raises(Conflict, match="is the key of a version"):
        versions.label(session, engineer, AGENT, "v1", 1)
    with transaction() as session:
        versions.label(session, engineer, AGENT, "v2", 1)
    with pytest.raises(Conflict, match="is a label"):
        save("two", key="v2")
    assert save("two").key == "v3"


def test_a_version_that_the_agent_can_no_longer_fill_in_gets_no_label(save, transaction, engineer):
    save("one")
    save("Look at {{context}}.")
    with transaction() as session:
        inputs.declare(session, engineer, AGENT, ["input"])
    with transaction() as session, pytest.raises(InvalidInput, match="no input"):
        versions.label(session, engineer, AGENT, "production", 2)


# ---------------------------------------------------------------- finding


def test_a_version_is_found_by_number_key_and_label(save, transaction, engineer):
    save("one", key="first")
    save("two", key="7")
    with transaction() as session:
        versions.label(session, engineer, AGENT, "staging", "7")
        found = [
            versions.find(session, AGENT, reference).number
            for reference in (1, "1", "first", "production", "7", "staging", 2)
        ]
        assert found == [1, 1, 1, 1, 2, 2, 2]
        assert history.by_id(session, versions.find(session, AGENT, 2).id).key == "7"


@pytest.mark.parametrize("reference", [3, "3", "v3", "staging", "", "99999999999999999999"])
def test_what_is_not_there_is_not_found_and_the_newest_is_named(save, transaction, reference):
    save("one")
    with transaction() as session, pytest.raises(NotFound, match="its newest is 'v1'"):
        versions.find(session, AGENT, reference)


def test_an_agent_without_prompts_is_told_to_save_one(transaction, report):
    report("v1")
    with transaction() as session, pytest.raises(NotFound, match="no prompt yet"):
        history.labelled(session, AGENT)
    with transaction() as session, pytest.raises(NotFound, match="no agent 'nobody'"):
        history.labelled(session, "nobody")


def test_another_organisation_finds_nothing(save, other_organization):
    saved = save("one")
    with db.organization_session(other_organization.id) as session:
        assert history.entries(session, AGENT) == []
        with pytest.raises(NotFound):
            history.by_id(session, saved.id)


# ---------------------------------------------------------------- inputs


def test_an_agent_s_inputs_decide_what_prompts_may_use(save, transaction, engineer, audited):
    save("one", agent="other")
    with transaction() as session:
        assert inputs.known(session, "other") == ("input", "context")
        inputs.declare(session, engineer, "other", ["input", "user_name"])
        assert inputs.known(session, "other") == ("input", "user_name")
    assert save("Greet {{user_name}}.", agent="other").number == 2
    with pytest.raises(InvalidInput, match="no input"):
        save("Look at {{context}}.", agent="other")
    assert '"after": ["input", "user_name"]' in audited("agent.inputs")["details"].iloc[0]


@pytest.mark.parametrize(
    "names", [[], ["a", "a"], ["1a"], ["a b"], [""], ["ä"], [f"n{number}" for number in range(21)]]
)
def test_inputs_are_names_each_once(save, transaction, engineer, names):
    save("one")
    with transaction() as session, pytest.raises(InvalidInput):
        inputs.declare(session, engineer, AGENT, names)


def test_inputs_that_a_labelled_version_needs_stay(save, transaction, engineer):
    save("Look at {{context}}.")
    with transaction() as session, pytest.raises(Conflict, match=r"'v1' \(production\)"):
        inputs.declare(session, engineer, AGENT, ["input"])
    with transaction() as session, pytest.raises(Conflict, match="does not use"):
        inputs.declare(session, engineer, AGENT, ["question", "input", "context"])


def test_only_an_agent_that_is_there_has_inputs(transaction, engineer):
    with transaction() as session, pytest.raises(NotFound):
        inputs.declare(session, engineer, "nobody", ["input"])
