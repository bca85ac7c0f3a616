"""Who is given what to judge, for how long, and that the counters say what the leases and judgements say."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

import pytest
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from learning_core.access import Caller
from learning_core.db import in_transaction, organization_session
from learning_core.errors import Conflict, NotFound, NotPermitted
from learning_core.feedback.executions import register_agents
from learning_core.review import annotations, flags, gold, queue
from learning_core.review.annotations import AnnotationEntry
from learning_core.review.queue import Filters
from learning_core.schema import OPEN, Decision, Role
from tests import factories

pytestmark = pytest.mark.usefixtures("one_each")

TERM_LEFT = text("""
SELECT CAST(extract(epoch FROM leased_until - now()) / 60 AS float8)
FROM review_leases WHERE example_id = :example
""")


@pytest.fixture
def three(new_example):
    """Three examples, the most valuable first."""
    return [new_example(priority=priority) for priority in (0.9, 0.5, 0.1)]


# ---------------------------------------------------------------- claiming


def test_the_most_valuable_examples_are_given_first(act, ada, new_example):
    worth = {new_example(priority=priority): priority for priority in (0.2, 0.9, 0.5, 0.7)}
    given = act(queue.claim, ada, limit=3)
    assert [worth[example] for example in given] == [0.9, 0.7, 0.5]


def test_examples_of_equal_value_are_given_in_the_order_in_which_they_came(act, ada, new_example):
    came = [new_example() for _ in range(4)]
    assert act(queue.claim, ada, limit=4) == came


def test_what_somebody_holds_is_given_to_nobody_else(act, ada, ben, three):
    assert act(queue.claim, ada, limit=2) == three[:2]
    assert act(queue.claim, ben, limit=5) == three[2:]
    assert act(queue.claim, ben, limit=5) == three[2:]


def test_what_the_caller_holds_comes_first_and_counts_towards_the_limit(act, ada, ben, three, new_example):
    assert act(queue.claim, ada, limit=2) == three[:2]
    urgent = new_example(priority=1.0)
    assert act(queue.claim, ada, limit=2) == three[:2]
    assert act(queue.claim, ada, limit=3) == [*three[:2], urgent]
    assert act(queue.claim, ben, limit=5) == three[2:]


def test_a_lower_limit_gives_less_and_takes_nothing_away(act, ada, ben, three, leases):
    act(queue.claim, ada, limit=3)
    assert act(queue.claim, ada, limit=1) == three[:1]
    assert len(leases()) == 3
    assert act(queue.claim, ben) == []


def test_an_example_is_held_for_the_term_and_each_claim_begins_it_anew(
    act, ada, three, transaction, configure
):
    def minutes_left() -> float:
        with transaction() as session:
            return session.execute(TERM_LEFT, {"example": three[0]}).scalar_one()

    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=7)
    act(queue.claim, ada)
    assert 6 < minutes_left() <= 7
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=90)
    act(queue.claim, ada)
    assert 89 < minutes_left() <= 90


@pytest.mark.parametrize("role", [Role.VIEWER, Role.ENGINEER])
@pytest.mark.parametrize("verb", [queue.claim, queue.look_ahead, queue.bring_back_skipped])
def test_only_experts_and_administrators_are_given_anything(act, person, three, leases, role, verb):
    with pytest.raises(NotPermitted, match=role):
        act(verb, person("vera", role))
    assert leases() == []


def test_nobody_is_given_what_they_wrote(act, ada, ben, new_example):
    own = new_example(author="ada")
    assert act(queue.look_ahead, ada) == act(queue.claim, ada) == []
    assert act(queue.look_ahead, ben) == act(queue.claim, ben) == [own]


def test_nobody_is_given_what_they_judged(act, judge, ada, ben, new_example, configure):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=1)
    example = new_example()
    act(queue.claim, ada)
    judge(ada, example)
    assert act(queue.look_ahead, ada) == act(queue.claim, ada) == []
    assert act(queue.claim, ben) == [example]


@pytest.mark.parametrize("status", ["disputed", "flagged", "rejected", "withdrawn"])
def test_what_does_not_wait_for_a_judgement_is_given_to_nobody(act, ada, new_example, status):
    new_example(status=status)
    assert act(queue.look_ahead, ada) == act(queue.claim, ada) == []


def test_an_approval_is_given_only_while_it_waits_to_be_confirmed(act, judge, ada, ben, cyd, new_example):
    example = new_example()
    judge(ada, example, corrected_output="On the 15th.")
    assert act(queue.claim, ada) == []
    assert act(queue.claim, ben) == [example]
    judge(ben, example)
    assert act(queue.claim, cyd) == []


def test_looking_ahead_shows_what_comes_next_and_holds_nothing(act, ada, ben, three, leases):
    assert act(queue.look_ahead, ada, limit=2) == three[:2]
    assert leases() == []
    act(queue.claim, ada)
    assert act(queue.look_ahead, ada) == act(queue.look_ahead, ben) == three[1:]


# ---------------------------------------------------------------- filters


@pytest.mark.parametrize(
    ("wanted", "columns"),
    [
        (Filters(agent="auditor"), {"agent": "auditor"}),
        (Filters(domain="vat"), {"domain": "vat"}),
        (Filters(source="import"), {"source": "import"}),
        (Filters(issue="tone"), {"issue_categories": ["incorrect", "tone"]}),
        (Filters(is_preference=True), {"example_type": "preference", "alternative_output": "B"}),
        (Filters(agent="auditor", domain="vat"), {"agent": "auditor", "domain": "vat"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else "",
)
@pytest.mark.parametrize("is_gold", [False, True], ids=["ordinary", "gold"])
def test_only_what_was_asked_for_is_given(act, ada, new_example, configure, wanted, columns, is_gold):
    columns = columns | ({"gold_decision": "reject", "status": "rejected"} if is_gold else {})
    configure(AFTERGLOW_REVIEW_GOLD_SHARE=int(is_gold))
    new_example(priority=0.9, domain="payroll", issue_categories=["incorrect"])
    meant = new_example(**columns)
    assert act(queue.look_ahead, ada, wanted) == ([] if is_gold else [meant])
    assert act(queue.claim, ada, wanted, limit=5) == [meant]
    assert act(queue.claim, ada, wanted, limit=5) == [meant]


@pytest.mark.parametrize(
    "nothing",
    [Filters(agent="nobody"), Filters(domain=""), Filters(source="%"), Filters(issue="tone' OR true --")],
    ids=["agent", "domain", "source", "issue"],
)
def test_what_nothing_matches_gives_nothing(act, ada, three, nothing):
    assert act(queue.look_ahead, ada, nothing) == act(queue.claim, ada, nothing) == []


def test_examples_that_are_no_preferences_can_be_asked_for(act, ada, new_example):
    new_example(example_type="preference", alternative_output="B")
    plain = new_example()
    assert act(queue.claim, ada, Filters(is_preference=False), limit=5) == [plain]


def test_what_is_held_under_another_filter_stays_held_and_is_not_given(act, ada, ben, new_example, leases):
    vat, payroll = new_example(domain="vat"), new_example(domain="payroll")
    assert act(queue.claim, ada, Filters(domain="vat")) == [vat]
    assert act(queue.claim, ada, Filters(domain="payroll")) == [payroll]
    assert {example for example, _ in leases()} == {vat, payroll}
    assert act(queue.claim, ben, limit=5) == []


# ---------------------------------------------------------------- skipping, giving back, lapsing


def test_a_skipped_example_is_offered_to_others_and_to_the_same_person_when_they_ask(act, ada, ben, three):
    act(queue.claim, ada)
    act(queue.skip, ada, three[0])
    act(queue.skip, ada, three[0])
    assert act(queue.claim, ada, limit=5) == three[1:]
    assert act(queue.bring_back_skipped, ada) == 1
    assert act(queue.bring_back_skipped, ada) == 0
    assert act(queue.claim, ben) == three[:1]
    act(queue.give_back, ben)
    assert act(queue.look_ahead, ada) == three[:1]


def test_what_nobody_gave_can_be_skipped_too(act, ada, ben, three, look):
    act(queue.skip, ada, three[0])
    assert act(queue.look_ahead, ada) == three[1:]
    act(queue.claim, ben)
    act(queue.skip, ada, three[0])
    assert look(three[0]).held == 1


def test_skipping_what_is_not_there_says_so(act, ada, organization, new_example):
    with pytest.raises(NotFound):
        act(queue.skip, ada, organization.id)


def test_giving_back_ends_ones_own_leases_and_keeps_what_was_skipped(act, ada, ben, new_example, leases):
    new_examples = [new_example() for _ in range(4)]
    act(queue.claim, ada, limit=3)
    act(queue.claim, ben)
    act(queue.skip, ada, new_examples[0])
    assert act(queue.give_back, ada) == 2
    assert act(queue.give_back, ada) == 0
    assert leases() == [(new_examples[3], "ben")]
    assert act(queue.look_ahead, ada, limit=5) == new_examples[1:3]


def test_what_nobody_came_back_for_is_given_to_the_next(act, ada, ben, three, configure, look):
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=0)
    assert act(queue.claim, ada, limit=3) == three
    assert act(queue.look_ahead, ben) == three
    assert act(queue.claim, ben, limit=2) == three[:2]
    assert [look(example).held for example in three] == [1, 1, 0]


def test_whoever_comes_back_late_may_judge_what_nobody_took_in_the_meantime(
    act, judge, ada, ben, three, configure
):
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=0)
    act(queue.claim, ada, limit=2)
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=30)
    assert judge(ada, three[1]).example_status == "approved"
    assert act(queue.claim, ben) == three[:1]
    with pytest.raises(Conflict, match="Somebody else holds"):
        judge(ada, three[0])
    judge(ben, three[0])


def test_what_lapsed_is_free_to_judge_even_before_anybody_claims(
    act, judge, ada, ben, new_example, configure, look
):
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=0)
    example = new_example()
    act(queue.claim, ada)
    judge(ben, example)
    assert (look(example).held, look(example).reviews_done) == (0, 1)


def test_what_was_skipped_never_lapses(act, ada, three, configure):
    configure(AFTERGLOW_REVIEW_LEASE_MINUTES=0)
    act(queue.skip, ada, three[0])
    assert act(queue.claim, ada, limit=5) == three[1:]
    assert act(queue.bring_back_skipped, ada) == 1


# ---------------------------------------------------------------- several judge the same


def test_an_overlapping_example_is_given_to_two_people_and_never_twice_to_one(
    act, judge, person, new_example, configure, look
):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=1, AFTERGLOW_REVIEW_OVERLAP=2)
    example = new_example()
    ada, ben, cyd = map(person, ("ada", "ben", "cyd"))
    assert act(queue.claim, ada) == act(queue.claim, ada) == act(queue.claim, ben) == [example]
    assert act(queue.claim, cyd) == []
    judge(ada, example)
    assert act(queue.claim, cyd) == act(queue.claim, ada) == []
    judge(ben, example)
    assert act(queue.claim, cyd) == []
    assert (look(example).status, look(example).reviews_done, look(example).held) == ("approved", 2, 0)


def test_where_the_two_differ_a_third_is_asked(act, judge, ada, ben, cyd, new_example, configure, look):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=1)
    example = new_example()
    for caller, decision in ((ada, "approve"), (ben, "reject"), (cyd, "reject")):
        assert act(queue.claim, caller) == [example]
        judge(caller, example, decision)
    assert look(example).status == "rejected"


def test_the_share_that_overlaps_is_as_asked_and_settled_by_the_example_itself(
    act, ada, ben, new_example, configure, look
):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=0.5)
    examples = [new_example() for _ in range(100)]
    act(queue.claim, ada, limit=100)
    wanted = {example: look(example).reviews_wanted for example in examples}
    assert 30 <= sum(number == 2 for number in wanted.values()) <= 70  # four standard errors
    act(queue.give_back, ada)
    act(queue.claim, ben, limit=100)
    assert {example: look(example).reviews_wanted for example in examples} == wanted


def test_a_share_that_changes_leaves_what_is_in_hand_as_it_is(act, ada, ben, new_example, configure, look):
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=1)
    example = new_example()
    act(queue.claim, ada)
    configure(AFTERGLOW_REVIEW_OVERLAP_SHARE=0)
    assert act(queue.claim, ben) == [example]
    assert (look(example).overlap, look(example).reviews_wanted, look(example).held) == (2, 2, 2)


# ---------------------------------------------------------------- gold


def test_gold_items_are_mixed_in_where_there_are_any(act, ada, ben, new_example, configure):
    ordinary = [new_example(priority=0.5) for _ in range(3)]
    golden = new_example(priority=0.9, status="rejected", gold_decision="reject", reviews_wanted=0)
    assert act(queue.claim, ben) == ordinary[:1]
    configure(AFTERGLOW_REVIEW_GOLD_SHARE=1)
    assert act(queue.claim, ada, limit=3) == [golden, *ordinary[1:]]


def test_gold_is_mixed_in_at_the_share_asked_for(act, ada, new_example, configure):
    configure(AFTERGLOW_REVIEW_GOLD_SHARE=0.5)
    ordinary = {new_example() for _ in range(30)}
    golden = {new_example(status="approved", gold_decision="approve", reviews_wanted=0) for _ in range(30)}
    given = act(queue.claim, ada, limit=20, rng=Random(7))
    tossed = Random(7)
    assert len(golden & set(given)) == sum(tossed.random() < 0.5 for _ in range(20))
    assert len(given) == 20
    assert set(given) <= ordinary | golden


def test_a_gold_item_is_given_to_everybody_and_once(act, judge, ada, ben, new_example, configure, look):
    configure(AFTERGLOW_REVIEW_GOLD_SHARE=1)
    golden = new_example(status="approved", gold_decision="approve", reviews_wanted=0)
    for caller in (ada, ben):
        assert act(queue.claim, caller) == [golden]
    for caller in (ada, ben):
        judge(caller, golden)
        assert act(queue.claim, caller) == []
    assert look(golden).held == 0


# ---------------------------------------------------------------- whatever happens

COUNTED = text(f"""
SELECT example.id, held, reviews_done, reviews_wanted, status, gold_decision, author, {OPEN} AS is_open,
       (SELECT count(*) FROM review_leases
        WHERE example_id = example.id AND leased_until IS NOT NULL) AS leases,
       ARRAY(SELECT reviewer FROM review_leases
             WHERE example_id = example.id AND leased_until IS NOT NULL) AS holders,
       ARRAY(SELECT annotator FROM expert_annotations
             WHERE example_id = example.id AND decision IS NOT NULL AND undone_at IS NULL) AS judges,
       (SELECT count(*) FROM expert_annotations
        WHERE example_id = example.id AND decision IS NOT NULL AND undone_at IS NULL AND NOT on_gold) AS done
FROM learning_examples AS example
""")

LAPSE = text("""
UPDATE review_leases SET leased_until = now() - interval '1 minute'
WHERE reviewer = :name AND leased_until IS NOT NULL
""")

PEOPLE = st.sampled_from(["ada", "ben", "cyd"])
PLACES = st.integers(0, 2)
TEXTS = st.sampled_from([None, None, "On the 15th.", "On the 20th."])


class Review(RuleBasedStateMachine):
    """Three people do to three examples whatever the review step lets them, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.organization = factories.organization().id
        with organization_session(self.organization) as session:
            register_agents(session, {"tax-advisor"})
            rows = session.execute(text(THREE))
            self.examples = [row.id for row in rows]

    def act(self, name: str, verb, *given, role: Role = Role.EXPERT, **more):
        caller = Caller(self.organization, name, role)
        return in_transaction(self.organization, lambda session: verb(session, caller, *given, **more))

    @rule(name=PEOPLE, limit=st.integers(1, 3))
    def claim(self, name, limit):
        for example in self.act(name, queue.claim, limit=limit):
            row = self.rows()[example]
            assert name in row.holders
            assert name not in row.judges
            assert name != row.author
            assert row.gold_decision or row.status in ("pending", "needs_revision", "approved")

    @rule(name=PEOPLE, place=PLACES, decision=st.sampled_from(Decision), text=TEXTS)
    def judge(self, name, place, decision, text):
        entry = AnnotationEntry(
            example_id=self.examples[place], decision=decision, corrected_output=text, clarity=0.9
        )
        with suppress(Conflict, NotPermitted):
            self.act(name, annotations.annotate, entry)

    @rule(name=PEOPLE)
    def judge_what_is_held(self, name):
        """Whoever holds an example may judge it: their lease is a promise."""
        for example, row in self.rows().items():
            if name in row.holders:
                entry = AnnotationEntry(example_id=example, decision=Decision.APPROVE)
                self.act(name, annotations.annotate, entry)

    @rule(name=PEOPLE, place=PLACES)
    def remark(self, name, place):
        self.act(name, annotations.annotate, AnnotationEntry(example_id=self.examples[place], notes="Hm."))

    @rule(name=PEOPLE, place=PLACES)
    def undo(self, name, place):
        with suppress(Conflict, NotFound):
            self.act(name, annotations.undo, self.examples[place])

    @rule(name=PEOPLE, place=PLACES)
    def skip(self, name, place):
        self.act(name, queue.skip, self.examples[place])

    @rule(name=PEOPLE)
    def bring_back(self, name):
        self.act(name, queue.bring_back_skipped)

    @rule(name=PEOPLE)
    def give_back(self, name):
        self.act(name, queue.give_back)

    @rule(name=PEOPLE, place=PLACES)
    def flag(self, name, place):
        with suppress(Conflict):
            self.act(name, flags.flag, self.examples[place], "Not ours.")

    @rule(name=PEOPLE, place=PLACES, verb=st.sampled_from([flags.unflag, flags.unflag, flags.drop]))
    def decide_about_flagged(self, name, place, verb):
        with suppress(Conflict):
            self.act(name, verb, self.examples[place])

    @rule(place=PLACES, verb=st.sampled_from([gold.make_gold, gold.unmake_gold]))
    def change_gold(self, place, verb):
        with suppress(Conflict):
            self.act("boss", verb, self.examples[place], role=Role.ADMIN)

    @rule(name=PEOPLE, ends=st.booleans())
    def lapse(self, name, ends):
        with organization_session(self.organization) as session:
            session.execute(LAPSE, {"name": name})
            if ends:
                queue.return_lapsed(session)

    @invariant()
    def the_counters_are_a_recount_of_the_rows(self):
        for row in self.rows().values():
            assert row.held == row.leases
            assert row.reviews_done == row.done

    @invariant()
    def no_more_hold_an_example_than_it_still_needs(self):
        """Each lease has a judgement to come that the example waits for. Gold items are apart: everybody may
        judge one at once, as it waits for nobody. Flagged and settled examples are held by nobody.
        """
        for row in self.rows().values():
            if row.held and not row.gold_decision:
                assert row.held + row.reviews_done <= row.reviews_wanted
                assert row.status in ("pending", "needs_revision", "approved")

    @invariant()
    def nobody_judges_twice_or_holds_what_they_judged_or_wrote(self):
        for row in self.rows().values():
            assert max(Counter(row.judges).values(), default=0) <= 1
            assert not set(row.holders) & {*row.judges, row.author}
            assert row.author not in row.judges

    def rows(self):
        with organization_session(self.organization) as session:
            return {row.id: row for row in session.execute(COUNTED)}


THREE = """
INSERT INTO learning_examples (agent_id, example_type, source, author, priority, input_text, expected_output)
SELECT id, 'positive', 'api', author, 0.5, 'When is it due?', 'On the tenth.'
FROM agents, unnest(ARRAY[NULL, NULL, 'ada']) AS author
RETURNING id
"""


@pytest.mark.parametrize("overlap", [1, 2])
def test_counters_and_leases_hold_in_whatever_order_people_act(database, configure, overlap):
    configure(
        AFTERGLOW_REVIEW_OVERLAP_SHARE=1, AFTERGLOW_REVIEW_OVERLAP=overlap, AFTERGLOW_REVIEW_GOLD_SHARE=0.3
    )
    few = hypothesis_settings(
        max_examples=25, stateful_step_count=30, deadline=None, database=None, phases=[Phase.generate]
    )  # shrinking a failure would take minutes: each step is a transaction
    run_state_machine_as_test(Review, settings=few)
