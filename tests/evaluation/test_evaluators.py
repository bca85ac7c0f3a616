from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from learning_core.access import Caller
from learning_core.errors import NotFound, NotPermitted
from learning_core.evaluation import evaluators
from learning_core.evaluation.checks import Check, Evaluator
from learning_core.evaluation.safety import Gate
from learning_core.feedback.executions import register_agents
from learning_core.schema import ModelRole, Role
from tests.evaluation.conftest import MODEL, MODELS, example

EXACT = Evaluator((Check("exact"),))
WORDS = Evaluator(
    (Check("token_f1", 2.0), Check("contains", 1.0, {"phrases": ["VAT"]})), Gate(forbidden=("x",))
)
PROSE = [example("Because it is due."), example("On the tenth of May.")]


@pytest.fixture(autouse=True)
def agent(transaction):
    with transaction() as session:
        register_agents(session, {"tax-advisor"})


@pytest.fixture
def save(transaction, engineer):
    def do(evaluator, agent="tax-advisor"):
        with transaction() as session:
            return evaluators.save(session, engineer, agent, evaluator)

    return do


def test_versions_are_numbered_and_found_again(save, transaction):
    first, second = save(EXACT), save(WORDS)
    assert (first.number, second.number, second.created_by) == (1, 2, "erin")
    with transaction() as session:
        assert evaluators.find(session, first.id) == first
        assert evaluators.newest(session, "tax-advisor") == second
        assert evaluators.versions(session, "tax-advisor") == [second, first]
    assert second.evaluator.told() == WORDS.told()


def test_the_same_evaluator_saved_again_is_the_same_version(save):
    assert save(EXACT) == save(Evaluator.parse({"checks": [{"kind": "exact"}]}))


def test_going_back_to_an_earlier_one_makes_it_the_newest(save):
    save(EXACT)
    save(WORDS)
    assert save(EXACT).number == 3


def test_a_version_never_changes(save, transaction):
    version = save(EXACT)
    with pytest.raises(ProgrammingError, match="permission denied"), transaction() as session:
        session.execute(text("UPDATE evaluators SET gate = '{}' WHERE id = :id"), {"id": version.id})


def test_an_expert_may_not_save_one(transaction, organization):
    with pytest.raises(NotPermitted), transaction() as session:
        evaluators.save(session, Caller(organization.id, "ada", Role.EXPERT), "tax-advisor", EXACT)


def test_what_is_not_there_is_not_found(save, transaction):
    with pytest.raises(NotFound):
        save(EXACT, "nobody")
    with pytest.raises(NotFound), transaction() as session:
        evaluators.find(session, uuid4())
    with transaction() as session:
        assert evaluators.newest(session, "tax-advisor") is None


def test_nobody_judges_their_own_answers():
    alone = {ModelRole.TASK: MODEL, ModelRole.JUDGE: MODEL}
    assert evaluators.suggested(PROSE, alone).needs == set()
    assert evaluators.suggested(PROSE, MODELS).needs == {"judge"}
    assert evaluators.suggested(PROSE).needs == set()


def test_where_none_was_saved_the_suggestion_is(transaction, engineer, save):
    with transaction() as session:
        suggested = evaluators.newest_or_suggested(session, engineer, "tax-advisor", PROSE, {})
    assert (suggested.number, suggested.evaluator.checks[0].kind) == (1, "token_f1")
    saved = save(EXACT)
    with transaction() as session:
        assert evaluators.newest_or_suggested(session, engineer, "tax-advisor", PROSE, {}) == saved
