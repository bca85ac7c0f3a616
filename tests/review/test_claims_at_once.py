"""Many judge at once and some go home: each example is judged by as many as it wants, by each once."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.db import in_transaction
from learning_core.errors import Conflict
from learning_core.feedback.executions import register_agents
from learning_core.review import annotations, queue
from learning_core.review.annotations import AnnotationEntry
from learning_core.schema import Role

REVIEWERS, DYING, EXAMPLES = 16, 5, 300

INSERT = text("""
INSERT INTO learning_examples (agent_id, example_type, source, input_text, expected_output)
SELECT id, 'positive', 'api', 'Question ' || n, 'Answer ' || n FROM agents, generate_series(1, :count) AS n
""")

LAPSE = text("""
UPDATE review_leases SET leased_until = now() - interval '1 minute'
WHERE reviewer = ANY (:gone) AND leased_until IS NOT NULL
""")

FOUND = text("""
SELECT example.id, status, overlap, reviews_wanted, reviews_done, held,
       ARRAY(SELECT annotator FROM expert_annotations WHERE example_id = example.id) AS judges
FROM learning_examples AS example
""")


class Crowd:
    """People in threads of their own, each on connections of their own."""

    def __init__(self, organization) -> None:
        self.organization = organization.id
        self.names = [f"reviewer {n}" for n in range(REVIEWERS)]
        self.gone = set(self.names[:DYING])
        self.held_by_the_gone: Counter = Counter()
        self.all_gone = threading.Barrier(DYING, action=self.let_their_leases_lapse)

    def act(self, name, verb, *given, **more):
        caller = Caller(self.organization, name, Role.EXPERT)
        return in_transaction(self.organization, lambda session: verb(session, caller, *given, **more))

    def work(self, name: str) -> list:
        """Judge until nothing is left; those who go home claim once more and never come back."""
        judged = []
        while given := self.act(name, queue.claim, limit=3):
            if name in self.gone and len(judged) >= 6:
                self.held_by_the_gone.update(given)
                self.all_gone.wait(timeout=60)
                return judged
            for example in given:
                self.act(name, annotations.annotate, AnnotationEntry(example_id=example, decision="approve"))
                judged.append(example)
        return judged

    def let_their_leases_lapse(self) -> None:
        in_transaction(self.organization, lambda session: session.execute(LAPSE, {"gone": sorted(self.gone)}))


@pytest.fixture
def crowd(organization, transaction, configure) -> Crowd:
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=0.5, AFTERGLOW_REVIEW_GOLD_SHARE=0)
    with transaction() as session:
        register_agents(session, {"tax-advisor"})
        session.execute(INSERT, {"count": EXAMPLES})
    return Crowd(organization)


def test_many_at_once_judge_every_example_as_often_as_it_wants_though_some_go_home(crowd, transaction):
    with ThreadPoolExecutor(REVIEWERS) as pool:
        judged = [example for done in pool.map(crowd.work, crowd.names) for example in done]
    assert crowd.held_by_the_gone
    stayed = next(name for name in crowd.names if name not in crowd.gone)
    for name in (stayed, *crowd.names[-3:]):  # what lapsed after the others had finished
        judged += crowd.work(name)

    with transaction() as session:
        examples = session.execute(FOUND).all()
        assert session.execute(text("SELECT count(*) FROM review_leases")).scalar() == 0
    assert len(examples) == EXAMPLES
    assert Counter(judged) == {example.id: example.overlap for example in examples}
    for example in examples:
        assert (example.status, example.held) == ("approved", 0)
        assert example.reviews_done == example.reviews_wanted == example.overlap == len(set(example.judges))
        assert len(example.judges) == len(set(example.judges))
    overlapping = sum(example.overlap == 2 for example in examples)
    assert 100 <= overlapping <= 200  # a half of 300, within about 5.8 standard errors


def test_of_many_who_judge_the_same_unheld_example_at_once_one_does(crowd, transaction):
    with transaction() as session:
        example = session.execute(text("SELECT id FROM learning_examples LIMIT 1")).scalar_one()
    start = threading.Barrier(REVIEWERS)

    def judge(name: str) -> bool:
        start.wait(timeout=60)
        entry = AnnotationEntry(example_id=example, decision="reject")
        try:
            crowd.act(name, annotations.annotate, entry)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(REVIEWERS) as pool:
        assert sum(pool.map(judge, crowd.names)) == 1


def test_one_person_in_many_windows_is_given_each_example_once_and_judges_it_once(crowd, transaction):
    start = threading.Barrier(8)

    def work(_: int) -> int:
        start.wait(timeout=60)
        judged = 0
        while given := crowd.act("ada", queue.claim, limit=5):
            for example in given:
                entry = AnnotationEntry(example_id=example, decision="approve")
                try:
                    crowd.act("ada", annotations.annotate, entry)
                except Conflict:  # another window was faster
                    continue
                judged += 1
        return judged

    with transaction() as session:
        session.execute(
            text("UPDATE learning_examples SET status = 'rejected' WHERE input_text > 'Question 14'")
        )
        left = session.execute(
            text("SELECT count(*) FROM learning_examples WHERE status = 'pending'")
        ).scalar()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == left
    with transaction() as session:
        rows = session.execute(FOUND).all()
        assert session.execute(text("SELECT count(*) FROM review_leases")).scalar() == 0
    assert {tuple(row.judges) for row in rows if row.status != "rejected"} == {("ada",)}
    assert {row.held for row in rows} == {0}
