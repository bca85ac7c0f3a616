from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from learning_core import access, db
from learning_core.access import Caller
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted
from learning_core.feedback.executions import register_agents
from learning_core.prompts import rules
from learning_core.prompts.evidence import Rule
from learning_core.prompts.rules import CorrectionRule, Statement
from learning_core.schema import Role, RuleStatus

AGENT = "tax-advisor"
DATES = "State every deadline as a date."


@pytest.fixture
def person(organization: Any) -> Callable[..., Caller]:
    return lambda role=Role.EXPERT: Caller(organization.id, "ada", role)


@pytest.fixture
def propose(transaction: Callable[..., Any]) -> Callable[..., int]:
    """Propose rules for an agent: `propose("Say when.")`."""

    def make(*statements: str | Statement, agent: str = AGENT) -> int:
        with transaction() as session:
            register_agents(session, {agent})
            told = [one if isinstance(one, Statement) else Statement(one) for one in statements]
            return rules.propose(session, agent, told, by="run")

    return make


@pytest.fixture
def known(transaction: Callable[..., Any]) -> Callable[..., list[CorrectionRule]]:
    def read(agent: str = AGENT) -> list[CorrectionRule]:
        with transaction() as session:
            return rules.of_agent(session, agent)

    return read


@pytest.fixture
def decide(transaction: Callable[..., Any]) -> Callable[..., None]:
    """Let somebody decide: `decide(rules.accept, caller, rule_id)`."""

    def do(verb: Callable[..., None], caller: Caller, rule_id: UUID) -> None:
        with transaction() as session:
            verb(session, caller, rule_id)

    return do


def test_a_proposed_rule_waits_for_a_decision(propose: Any, known: Any) -> None:
    example = uuid4()
    assert propose(Statement(f"  {DATES}\n", (example,))) == 1
    (rule,) = known()
    assert rule[1:5] == (DATES, RuleStatus.PROPOSED, (example,), "run")
    assert rule.created_at.utcoffset() is not None
    assert (rule.decided_by, rule.decided_at) == (None, None)


def test_a_rule_that_is_known_is_not_proposed_again(propose: Any, known: Any) -> None:
    assert propose(DATES, "Say why.", DATES) == 2
    assert propose(" state EVERY deadline, as a date", DATES) == 0
    assert len(known()) == 2


def test_a_dismissed_rule_is_not_proposed_again(propose: Any, known: Any, decide: Any, person: Any) -> None:
    propose(DATES)
    decide(rules.dismiss, person(), known()[0].id)
    assert propose(DATES) == 0


def test_agents_and_organisations_have_rules_of_their_own(
    propose: Any, known: Any, other_organization: Any
) -> None:
    propose(DATES)
    assert propose(DATES, agent="other") == 1
    assert len(known("other")) == 1
    with db.organization_session(other_organization.id) as session:
        assert rules.of_agent(session, AGENT) == []


def test_an_agent_nobody_knows_gets_no_rules(transaction: Any) -> None:
    with pytest.raises(NotFound, match="nobody"), transaction() as session:
        rules.propose(session, "nobody", [Statement(DATES)], by="run")


@pytest.mark.parametrize("statement", ["", " \n ", "x" * (rules.LONGEST + 1), "a\0b"])
def test_what_is_no_sentence_is_refused(propose: Any, known: Any, statement: str) -> None:
    with pytest.raises(InvalidInput):
        propose(statement)
    assert known() == []


@pytest.mark.parametrize("role", [Role.EXPERT, Role.ENGINEER, Role.ADMIN])
def test_experts_and_engineers_accept_rules(
    propose: Any, known: Any, decide: Any, person: Any, transaction: Any, role: Role
) -> None:
    example = uuid4()
    propose(Statement(DATES, (example,)))
    decide(rules.accept, person(role), known()[0].id)
    (rule,) = known()
    assert (rule.status, rule.decided_by) == (RuleStatus.ACCEPTED, "ada")
    assert rule.decided_at >= rule.created_at
    with transaction() as session:
        assert rules.accepted(session, AGENT) == (Rule(str(rule.id), DATES, (str(example),)),)


@pytest.mark.parametrize("verb", [rules.accept, rules.dismiss])
def test_viewers_decide_nothing(propose: Any, known: Any, decide: Any, person: Any, verb: Any) -> None:
    propose(DATES)
    with pytest.raises(NotPermitted, match="admin, engineer, expert"):
        decide(verb, person(Role.VIEWER), known()[0].id)
    assert known()[0].status == RuleStatus.PROPOSED


def test_an_accepted_rule_can_be_taken_back(
    propose: Any, known: Any, decide: Any, person: Any, transaction: Any
) -> None:
    propose(DATES)
    decide(rules.accept, person(), known()[0].id)
    decide(rules.dismiss, person(), known()[0].id)
    assert known()[0].status == RuleStatus.DISMISSED
    with transaction() as session:
        assert rules.accepted(session, AGENT) == ()


@pytest.mark.parametrize("verb", [rules.accept, rules.dismiss])
def test_what_was_decided_or_is_gone_is_a_conflict(
    propose: Any, known: Any, decide: Any, person: Any, verb: Any
) -> None:
    propose(DATES)
    decide(verb, person(), known()[0].id)
    for rule_id in (known()[0].id, uuid4()):
        with pytest.raises(Conflict):
            decide(verb, person(), rule_id)


def test_a_decision_is_on_record(
    propose: Any, known: Any, decide: Any, person: Any, transaction: Any
) -> None:
    propose(DATES)
    decide(rules.accept, person(), known()[0].id)
    with transaction() as session:
        entry = access.audit_log(session).iloc[0]
    assert (entry.actor, entry.action, entry.subject) == ("ada", "rule.accepted", AGENT)
    assert DATES in entry.details


def test_what_waits_for_a_decision_comes_first(propose: Any, known: Any, decide: Any, person: Any) -> None:
    propose("One.", "Two.", "Three.", "Four.")
    ids = {rule.statement: rule.id for rule in known()}
    decide(rules.dismiss, person(), ids["Four."])
    decide(rules.accept, person(), ids["Two."])
    assert [rule.statement for rule in known()] == ["Three.", "One.", "Two.", "Four."]
