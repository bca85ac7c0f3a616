"""Searches stay within their plan, ask nothing twice, can be made again, and find what there is."""

from statistics import fmean
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.synthetic import TASKS, Proposal, Task
from learning_core.errors import BudgetSpent, Interrupted, NotEnoughData
from learning_core.llm.templates import Prompt
from learning_core.prompts.forecast import expected_calls
from learning_core.prompts.optimizer import (
    ORDER,
    Admitted,
    Dropped,
    Finished,
    Plan,
    Rounded,
    Scored,
    Stop,
    search,
)
from learning_core.prompts.racing import Mode

BASELINE = Prompt.from_text("Baseline")


class Trial(NamedTuple):
    value: float
    output: str | None = "an answer"


@st.composite
def plans(draw):
    strategies = draw(st.lists(st.sampled_from(ORDER), min_size=1, unique=True))
    return Plan(
        calls=draw(st.integers(20, 400)),
        seed=draw(st.integers(0, 9)),
        strategies=tuple(strategies),
        mode=draw(st.sampled_from(list(Mode))),
        n_first=10,
        block=draw(st.integers(1, 12)),
        newcomers=draw(st.integers(1, 6)),
        max_candidates=draw(st.integers(1, 20)),
    )


def make(plan, n_examples=60, task="ten intents"):
    """Search a made-up task; return the outcome, the task and what was noticed."""
    made, events = Task(task, n_examples, plan.seed), []
    outcome = search(plan, made.baseline, n_examples, made.propose, made.evaluate, events.append)
    return outcome, made, events


def answering(values):
    """Evaluate by a value for each prompt text, on every example."""
    return lambda batch: [[Trial(values[prompt.text])] * len(wanted) for _, prompt, wanted in batch]


def proposing(*texts):
    """Propose these texts, whoever is asked, as many as there is room for."""
    left = list(texts)

    def propose(strategy, state):
        taken, left[:] = left[: state.room], left[state.room :]
        return [Proposal(Prompt.from_text(text)) for text in taken]

    return propose


def of_kind(events, kind):
    return [event for event in events if isinstance(event, kind)]


# ---------------------------------------------------------------- for every plan


@settings(max_examples=60, deadline=None)
@given(plans(), st.integers(10, 80), st.sampled_from(list(TASKS)))
def test_no_search_exceeds_its_calls_or_asks_twice(plan, n_examples, task):
    outcome, made, events = make(plan, n_examples, task)
    assert len(made.pairs) == len(set(made.pairs)) == outcome.calls == np.isfinite(outcome.scores).sum()
    assert outcome.calls <= plan.calls
    assert len(outcome.candidates) <= plan.max_candidates
    assert outcome.ranking[0] == outcome.winner
    assert sorted(outcome.ranking) == list(range(len(outcome.candidates)))
    assert [event.calls + event.calls_left for event in of_kind(events, Scored)] == [plan.calls] * len(
        of_kind(events, Scored)
    )
    assert events[-1] == Finished(outcome)


@settings(max_examples=25, deadline=None)
@given(plans(), st.integers(10, 60))
def test_a_search_made_again_is_the_same(plan, n_examples):
    (outcome, made, events), (again, made_again, events_again) = (
        make(plan, n_examples),
        make(plan, n_examples),
    )
    assert made.pairs == made_again.pairs
    assert [str(event) for event in events[:-1]] == [str(event) for event in events_again[:-1]]
    assert (outcome.ranking, outcome.words) == (again.ranking, again.words)


@settings(max_examples=25, deadline=None)
@given(plans(), st.integers(1, 200))
def test_an_interrupted_search_goes_on_as_it_would_have_and_asks_nothing_again(plan, patience):
    whole, _, _ = make(plan)
    made, paid = Task("ten intents", 60, plan.seed), {}

    def evaluate(batch):
        answers = []
        for number, prompt, wanted in batch:
            for index in wanted:
                if (prompt.content_hash, index) not in paid:
                    if stops and len(paid) >= patience:
                        raise Interrupted
                    ((trial,),) = made.evaluate([(number, prompt, [index])])
                    paid[prompt.content_hash, index] = trial
            answers.append([paid[prompt.content_hash, index] for index in wanted])
        return answers

    stops = True
    try:
        search(plan, made.baseline, 60, made.propose, evaluate)
    except Interrupted:
        stops = False
        search(plan, made.baseline, 60, made.propose, evaluate)
    assert len(made.pairs) == len(set(made.pairs)) == whole.calls


@settings(max_examples=25, deadline=None)
@given(plans())
def test_everyone_meets_the_same_examples_in_their_order_one_prompt_after_the_other(plan):
    made, batches = Task("six types", 40, plan.seed), []

    def evaluate(batch):
        batches.append([(number, list(wanted)) for number, _, wanted in batch])
        return made.evaluate(batch)

    search(plan, made.baseline, 40, made.propose, evaluate)
    met: dict[int, int] = {}
    for batch in batches:
        assert [number for number, _ in batch] == sorted({number for number, _ in batch})
        for number, wanted in batch:
            assert wanted == list(range(met.get(number, 0), wanted[-1] + 1))
            met[number] = wanted[-1] + 1


# ---------------------------------------------------------------- what it finds


def test_searches_of_240_calls_find_a_prompt_near_the_best_that_was_tried():
    found = [(make(Plan(240, seed)), seed) for seed in range(20)]
    winners = [made.quality(outcome.candidates[outcome.winner].prompt) for (outcome, made, _), _ in found]
    best = [max(made.quality(one.prompt) for one in outcome.candidates) for (outcome, made, _), _ in found]
    assert fmean(winners) > 0.7  # the baseline has 0.31, the best strategy 0.74
    assert fmean(best) - fmean(winners) < 0.03


def test_the_baseline_wins_where_nothing_is_better():
    values = {"Baseline": 0.9} | {f"try {number}": 0.9 - number / 20 for number in range(9)}
    outcome = search(Plan(300), BASELINE, 30, proposing(*values), answering(values))
    assert outcome.winner == 0
    assert outcome.stop in (Stop.DRY, Stop.SETTLED)


def test_who_has_met_less_and_clearly_beats_the_leader_wins_when_the_calls_are_spent():
    is_right = {
        "Baseline": lambda index: index % 5 == 0,
        "first": lambda index: index % 5 < 2,
        "late": lambda index: index != 3,
    }
    looks = []

    def evaluate(batch):
        looks.append(batch)
        if len(looks) == 5:
            raise BudgetSpent
        return [
            [Trial(float(is_right[prompt.text](index))) for index in wanted] for _, prompt, wanted in batch
        ]

    def propose(strategy, state):
        return proposing({1: "first", 2: "late"}[state.turn])(strategy, state)

    plan = Plan(300, n_first=10, block=50, finalists=1)
    outcome = search(plan, BASELINE, 60, propose, evaluate)
    assert [one.n for one in outcome.candidates] == [60, 60, 10]
    assert outcome.candidates[outcome.winner].prompt.text == "late"


def test_everything_is_evaluated_where_that_was_asked_for():
    outcome, _, _ = make(Plan(240, mode=Mode.EXHAUSTIVE), 60)
    assert [one.n for one in outcome.candidates] == [60, 60, 60, 60]
    assert outcome.drops == ()


def test_scores_keep_the_order_of_the_examples():
    answers = [float(index % 3 == 0) for index in range(20)]

    def evaluate(batch):
        return [[Trial(answers[index]) for index in wanted] for _, _, wanted in batch]

    outcome = search(Plan(60), BASELINE, 20, proposing("other"), evaluate)
    met = np.isfinite(outcome.scores[0])
    assert met.any()
    assert outcome.scores[0, met].tolist() == np.array(answers)[met].tolist()


# ---------------------------------------------------------------- whom it asks, and for what


def test_the_first_round_gives_every_strategy_a_try_the_most_useful_first():
    _, _, events = make(Plan(240))
    asked = of_kind(events, Rounded)[0].asked
    assert [one.strategy for one in asked] == list(ORDER)
    assert {(one.room, one.admitted) for one in asked} == {(1, 1)}


def test_few_calls_go_to_the_strategies_that_helped_most_often():
    _, _, events = make(Plan(100))
    assert [one.strategy for one in of_kind(events, Rounded)[0].asked] == list(ORDER[:4])


def test_later_rounds_turn_to_strategies_whose_candidates_survived():
    values = {"Baseline": 0.1} | dict.fromkeys(ORDER, 0.2) | {"corrections": 0.8, "reflective": 0.5}
    asked = []

    def propose(strategy, state):
        asked.append((state.turn, strategy))
        return [Proposal(Prompt.from_text(f"{strategy} {state.turn}"))]

    def evaluate(batch):
        return [[Trial(values[prompt.text.split()[0]])] * len(wanted) for _, prompt, wanted in batch]

    search(Plan(400), BASELINE, 60, propose, evaluate)
    assert next(name for turn, name in asked if turn == 2) == "corrections"


def test_what_one_strategy_leaves_over_goes_to_the_next():
    def propose(strategy, state):
        draws = range(state.room if strategy == "few_shot" else 0)
        return [Proposal(Prompt.from_text(f"{state.turn} {draw} {state.rng.random()}")) for draw in draws]

    events = []
    made = Task("ten intents", 60, 0)
    values = {}

    def evaluate(batch):
        return [[Trial(values.setdefault(prompt.text, 0.5))] * len(wanted) for _, prompt, wanted in batch]

    search(Plan(240), made.baseline, 60, propose, evaluate, events.append)
    first = of_kind(events, Rounded)[0].asked
    assert sum(one.admitted for one in first) == 7
    assert {one.strategy for one in first if one.admitted} == {"few_shot"}


def test_a_prompt_that_is_known_is_not_tried_again():
    propose = lambda strategy, state: [Proposal(BASELINE), Proposal(Prompt.from_text("other"))]  # noqa: E731
    events = []
    outcome = search(
        Plan(240), BASELINE, 60, propose, answering({"Baseline": 0.2, "other": 0.6}), events.append
    )
    assert [one.prompt.text for one in outcome.candidates] == ["Baseline", "other"]
    assert outcome.stop is Stop.DRY
    assert sum(one.admitted for event in of_kind(events, Rounded) for one in event.asked) == 1


def test_strategies_are_told_what_the_baseline_missed_and_who_entered_before_them():
    states = {}

    def propose(strategy, state):
        states.setdefault(strategy, state)
        return [Proposal(Prompt.from_text(strategy))]

    def evaluate(batch):
        return [[Trial(index % 5 / 4, f"answer {index}") for index in wanted] for _, _, wanted in batch]

    search(Plan(240), BASELINE, 60, propose, evaluate)
    (baseline,) = states["scaffolded"].candidates
    assert (baseline.n, baseline.strategy) == (15, "baseline")
    assert baseline.mean == pytest.approx(0.5)
    assert [miss.value for miss in baseline.misses] == [0.0] * 3 + [0.25] * 3 + [0.5] * 3 + [0.75] * 3
    assert (baseline.misses[0].example, baseline.misses[0].output) == (0, "answer 0")
    assert [one.strategy for one in states["combination"].candidates] == [
        "baseline",
        "scaffolded",
        "few_shot",
    ]
    assert states["combination"].ranking[0] == 0


def test_each_strategy_draws_by_a_chance_of_its_own_that_the_seed_decides():
    def draws(seed):
        found = []

        def propose(strategy, state):
            found.append(state.rng.random())
            return []

        search(Plan(240, seed), BASELINE, 60, propose, answering({"Baseline": 0.5}))
        return found

    assert draws(1) == draws(1) != draws(2)
    assert len(set(draws(1))) == len(draws(1)) == 7


def test_few_calls_mean_a_shorter_first_look():
    assert [Plan(calls).first_look for calls in (100, 240, 1000)] == [10, 15, 15]
    assert Plan(100, strategies=("few_shot",)).first_look == 15
    assert Plan(100, n_first=20).first_look == 20


# ---------------------------------------------------------------- why it stops


def test_a_search_stops_where_every_answer_is_right_already():
    outcome = search(Plan(240), BASELINE, 60, proposing("other"), answering({"Baseline": 1.0}))
    assert (outcome.stop, outcome.calls, len(outcome.candidates)) == (Stop.PERFECT, 60, 1)
    assert outcome.words == "The baseline has full marks on every example."


def test_a_search_stops_when_nothing_new_is_proposed():
    outcome = search(Plan(240), BASELINE, 60, proposing(), answering({"Baseline": 0.5}))
    assert (outcome.stop, outcome.winner) == (Stop.DRY, 0)
    assert outcome.words == "No strategy had anything new to propose."


def test_a_search_stops_when_rounds_bring_nothing_better():
    values = {"Baseline": 0.8} | {f"try {number}": 0.1 for number in range(40)}
    outcome = search(Plan(1000), BASELINE, 60, proposing(*values), answering(values))
    assert (outcome.stop, outcome.words) == (Stop.SETTLED, "The last 2 rounds brought nothing better.")


def test_a_search_stops_when_it_has_as_many_candidates_as_it_may():
    outcome, _, _ = make(Plan(1000, max_candidates=5))
    assert (outcome.stop, len(outcome.candidates)) == (Stop.FULL, 5)
    assert outcome.words == "All 5 candidates that the search may have were tried."


def test_a_search_says_how_many_calls_were_too_few_for_another_round():
    outcome, _, _ = make(Plan(100))
    assert outcome.stop is Stop.BUDGET
    assert outcome.words.endswith("calls left did not suffice for another round.")


def test_a_search_ends_with_what_is_known_when_the_budget_is_spent():
    looks = []

    def evaluate(batch):
        looks.append(batch)
        if len(looks) > 3:
            raise BudgetSpent("The 3 US dollars are spent.")
        return [
            [Trial(float(index % 2 or (number and not index))) for index in wanted]
            for number, _, wanted in batch
        ]

    outcome = search(Plan(240, n_first=10), BASELINE, 60, proposing("other"), evaluate)
    assert (outcome.stop, outcome.words, outcome.winner) == (
        Stop.BUDGET,
        "All that the search may spend is spent.",
        1,
    )
    assert [one.n for one in outcome.candidates] == [15, 15]


def test_a_budget_spent_while_proposing_ends_the_search_too():
    def propose(strategy, state):
        raise BudgetSpent

    outcome = search(Plan(240), BASELINE, 60, propose, answering({"Baseline": 0.2}))
    assert (outcome.stop, outcome.winner, outcome.calls) == (Stop.BUDGET, 0, 15)


def test_without_a_single_score_a_spent_budget_is_an_error():
    def evaluate(batch):
        raise BudgetSpent

    with pytest.raises(BudgetSpent):
        search(Plan(240), BASELINE, 60, proposing(), evaluate)


@pytest.mark.parametrize(
    ("calls", "n_examples", "words"),
    [(240, 9, "takes at least 10 examples; there are 9"), (19, 60, "takes 20 calls; there are 19")],
)
def test_too_little_to_choose_by_is_said_before_anything_is_asked(calls, n_examples, words):
    with pytest.raises(NotEnoughData, match=words):
        search(Plan(calls), BASELINE, n_examples, proposing(), answering({}))


@pytest.mark.parametrize("trials", [[Trial(float("nan"))] * 15, [Trial(1.5)] * 15, [Trial(1.0)] * 14])
def test_answers_without_a_score_from_0_to_1_are_refused(trials):
    with pytest.raises(ValueError, match="has no score"):
        search(Plan(240), BASELINE, 60, proposing(), lambda batch: [trials])


@pytest.mark.parametrize("wrong", [{"calls": 0}, {"block": 0}, {"n_first": 5}, {"patience": 0}])
def test_an_impossible_plan_is_refused(wrong):
    with pytest.raises(ValueError, match="at least"):
        Plan(**({"calls": 240} | wrong))


# ---------------------------------------------------------------- what is noticed


def test_whoever_watches_hears_of_every_candidate_block_and_drop():
    outcome, _, events = make(Plan(240))
    admitted = [event.candidate.number for event in of_kind(events, Admitted)]
    assert admitted == list(range(len(outcome.candidates)))
    assert [event.drop for event in of_kind(events, Dropped)] == list(outcome.drops)
    assert all(event.words for event in of_kind(events, Dropped))
    calls = [event.calls for event in of_kind(events, Scored)]
    assert calls == sorted(set(calls))
    assert calls[-1] == outcome.calls
    assert {drop.candidate for drop in outcome.drops} == {
        one.number for one in outcome.candidates if not one.racing
    }


# ---------------------------------------------------------------- what it will take


@pytest.mark.parametrize("calls", [100, 240, 600])
def test_the_expected_calls_are_near_those_that_searches_take(calls):
    taken = fmean(make(Plan(calls, seed), task=task)[0].calls for task in TASKS for seed in range(3))
    assert 0.7 <= expected_calls(Plan(calls), 60) / taken <= 1.3


@given(st.integers(30, 300), st.integers(10, 60))
@settings(max_examples=10, deadline=None)
def test_no_more_is_expected_than_is_allowed(calls, n_examples):
    assert 0 < expected_calls(Plan(calls), n_examples) <= calls


def test_it_is_said_beforehand_that_the_calls_are_too_few():
    with pytest.raises(NotEnoughData):
        expected_calls(Plan(19), 60)
