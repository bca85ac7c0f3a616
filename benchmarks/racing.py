"""Choosing a prompt and proving it: what selectors miss, what verdicts claim wrongly, what searches find.

All on made-up answers with a known truth (`synthetic`), so nothing depends on the machine. Selectors race on
stored score matrices, resampled by example: cost as a share of evaluating everything, regret as the quality
missed. Verdicts are asked where nothing is better, beside what an argmax over the selection examples would
claim. Searches run with 240 calls and 60 examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from math import log2
from statistics import fmean, median
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks import figures, synthetic
from benchmarks.figures import Finding
from benchmarks.ground import Options
from learning_core.prompts import forecast, optimizer, racing, verdict
from learning_core.prompts.optimizer import Event, Outcome, Plan, Scored
from learning_core.prompts.racing import Mode, Rules, Scores

Selector = Callable[[Scores], tuple[int, float]]
"""From scores (n_candidates, n_examples) to the pick and the number of scores looked up."""


class Size(NamedTuple):
    """How often everything is done."""

    replays: int
    runs: int
    pairs: tuple[int, ...]
    searches: int


FULL = Size(replays=200, runs=3000, pairs=(10, 20, 30, 60, 100, 200), searches=100)
QUICK = Size(replays=20, runs=200, pairs=(10, 20), searches=8)

CALLS, EXAMPLES = 240, 60


def run(options: Options) -> list[Finding]:
    """Race, judge, search."""
    size = QUICK if options.quick else FULL
    return [
        *race_selectors(size),
        *judge_equal_prompts(size),
        *cover_differences(size),
        *search_tasks(size),
    ]


# ---------------------------------------------------------------- selectors


def by_rules(rules: Rules) -> Selector:
    """Return the race of the product."""

    def select(scores: Scores) -> tuple[int, float]:
        raced = racing.run_race(scores, rules)
        return raced.pick, raced.calls

    return select


def exhaust(scores: Scores) -> tuple[int, float]:
    """Evaluate everything and take the best."""
    return int(scores.sum(axis=1).argmax()), scores.size


def halve(scores: Scores) -> tuple[int, float]:
    """Keep the better half each time the examples are doubled (successive halving)."""
    n_candidates, n_examples = scores.shape
    alive, calls, before = np.arange(n_candidates), 0, 0
    for left in range(int(np.ceil(log2(n_candidates))) - 1, -1, -1):
        n = max(1, n_examples // 2**left)
        calls += len(alive) * (n - before)
        before = n
        order = np.argsort(-scores[alive, :n].sum(axis=1), kind="stable")
        alive = np.sort(alive[order[: -(-len(alive) // 2)]])
    return int(alive[scores[alive].sum(axis=1).argmax()]), calls


def race_by_t(scores: Scores) -> tuple[int, float]:
    """Drop after each block of 10 who is behind the leader by a paired t-test at 0.2, as CAPO does."""
    alive, calls = np.arange(len(scores)), 0
    for n in range(10, scores.shape[1] + 1, 10):
        calls += 10 * len(alive)
        best = alive[scores[alive, :n].sum(axis=1).argmax()]
        alive = np.array(
            [i for i in alive if i == best or not _t_says_worse(scores[best, :n] - scores[i, :n])]
        )
        if len(alive) == 1:
            break
    return int(alive[scores[alive, :n].sum(axis=1).argmax()]), calls


def _t_says_worse(leads: Scores) -> bool:
    spread = leads.std(ddof=1)
    if spread == 0:
        return bool(leads.mean() > 0)
    return bool(stats.t.sf(leads.mean() / spread * np.sqrt(len(leads)), len(leads) - 1) < 0.2)


SELECTORS: dict[str, Selector] = {
    "exhaustive": exhaust,
    "exploratory race (first look at 20)": by_rules(Rules()),
    "exploratory race (first look at 15)": by_rules(Rules(n_first=15)),
    "the same, blocks of 10": by_rules(Rules(block=10)),
    "the same without stochastic curtailment": by_rules(Rules(block=10, slim=1e-12)),
    "always valid race": by_rules(Rules(Mode.ALWAYS_VALID)),
    "successive halving": halve,
    "t-race as in CAPO": race_by_t,
}


def race_selectors(size: Size) -> list[Finding]:
    """Print cost and regret of each selector; hold the product's to its targets."""
    findings, rows = [], []
    for task, matrices in synthetic.stored().items():
        for n, cost_bound in ((60, 60), (100, 50)):
            results = {name: _replay(select, matrices, n, size) for name, select in SELECTORS.items()}
            exhaustive = results["exhaustive"][1]
            for name, (cost, regret) in results.items():
                rows.append(
                    (task, str(n), name, f"{cost:.0f} %", f"{regret:.2f}", f"{regret - exhaustive:+.2f}")
                )
            cost, regret = results["exploratory race (first look at 20)"]
            what = f"racing: {task}, {n} examples"
            findings += [
                figures.absolute(f"{what}: calls of exhaustive", [cost], unit="%", target=cost_bound),
                figures.absolute(
                    f"{what}: regret beyond exhaustive", [regret - exhaustive], unit="points", target=0.1
                ),
            ]
    figures.show_table(("task", "n", "selector", "cost", "regret, points", "beyond exhaustive"), rows)
    return findings


def _replay(select: Selector, matrices: list[Scores], n: int, size: Size) -> tuple[float, float]:
    """Return cost in % of evaluating everything, and mean regret in points."""
    rng = np.random.default_rng(n)
    costs, regrets = [], []
    for matrix in matrices:
        truth = matrix.mean(axis=1)
        for _ in range(size.replays):
            sample = matrix[:, rng.integers(0, matrix.shape[1], n)]
            pick, calls = select(sample)
            costs.append(100 * calls / sample.size)
            regrets.append(100 * (truth.max() - truth[pick]))
    return fmean(costs), fmean(regrets)


# ---------------------------------------------------------------- verdicts


class Claims(NamedTuple):
    """What was claimed in many runs: shares in %, errors of the reported gain in points."""

    argmax: float
    argmax_error: float
    improved: float
    worse: float
    error: float


def judge_equal_prompts(size: Size) -> list[Finding]:
    """Print how often a gain is claimed, by argmax and by verdict; where none is better it must be seldom."""
    head = ("truth", "examples", "argmax claims", "its error", "improved", "worse", "its error")
    rows, findings = [], []
    truths = [(f"{k} equal prompts", [0.7] * k) for k in (4, 10)]
    truths += [(f"one of 4 better by {gain} points", [0.5] * 3 + [0.5 + gain / 100]) for gain in (10, 20, 30)]
    for truth, levels in truths:
        claims = {n: _claims(levels, n, size.runs) for n in (20, 30, 60, 100, 200)}
        rows += [(truth, str(n), *(f"{figure:.1f}" for figure in claims[n])) for n in claims]
        if len(set(levels)) == 1:
            improved = [max(each.improved for each in claims.values())]
            error = [max(abs(each.error) for each in claims.values())]
            what = f"verdict: {truth}, the worst of {len(claims)} sizes"
            findings += [
                figures.absolute(f"{what}: called improved", improved, unit="%", target=5),
                figures.absolute(f"{what}: error of the gain", error, unit="points", target=1),
            ]
    figures.show_table(head, rows)
    return findings


def _claims(levels: list[float], n: int, runs: int) -> Claims:
    rng = np.random.default_rng(n + len(levels))
    truth = np.array(levels)
    claimed, gains, true_gains, said = [], [], [], []
    verdicts = []
    for _ in range(runs):
        chosen, fresh = _answers(truth, n, rng), _answers(truth, n, rng)
        means = chosen.mean(axis=1)
        best = int(means.argmax())
        claimed.append(best != 0)
        gains.append(means[best] - means[0])
        true_gains.append(truth[best] - truth[0])
        if best:
            found = verdict_of(int((fresh[best] > fresh[0]).sum()), int((fresh[best] < fresh[0]).sum()), n)
            verdicts.append(found)
            said.append(100 * (fresh[best].mean() - fresh[0].mean() - true_gains[-1]))
    errors = 100 * (np.array(gains) - np.array(true_gains))
    share = 100 / runs
    return Claims(
        share * sum(claimed),
        float(errors.mean()),
        share * verdicts.count(verdict.Kind.IMPROVED),
        share * verdicts.count(verdict.Kind.WORSE),
        fmean(said),
    )


def _answers(truth: Scores, n: int, rng: np.random.Generator) -> Scores:
    shared = rng.standard_normal(n) * np.sqrt(synthetic.SHARED)
    own = rng.standard_normal((len(truth), n)) * np.sqrt(1 - synthetic.SHARED)
    return (shared + own < stats.norm.ppf(truth)[:, None]).astype(float)


@cache
def verdict_of(wins: int, losses: int, n: int) -> verdict.Kind:
    """Return the verdict on so many wins and losses."""
    ties = n - wins - losses
    return verdict.compare(
        [0.0] * wins + [1.0] * (losses + ties), [1.0] * wins + [0.0] * losses + [1.0] * ties
    ).kind


def cover_differences(size: Size) -> list[Finding]:
    """Print exact chances of the interval: to hold the truth, and to exclude zero where nothing is better."""
    rows, findings = [], []
    for n in size.pairs:
        for name, correction in (("as used", 1.0), ("uncorrected", 0.0)):
            low, high = _bounds(n, correction)
            held = [_held(low, high, n, changed, share) for changed, share in _truths()]
            null = [
                1 - _held(low, high, n, changed, 0.5, at=0.0)
                for changed in (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
            ]
            rows.append(
                (str(n), name, f"{100 * min(held):.1f}", f"{100 * fmean(held):.1f}", f"{100 * max(null):.1f}")
            )
            if correction:
                what = f"verdict: {n} pairs, most often excludes zero where nothing is better"
                findings.append(figures.absolute(what, [100 * max(null)], unit="%", target=5))
    figures.show_table(("pairs", "interval", "covers at least, %", "on average", "excludes 0 at most"), rows)
    return findings


def _truths() -> Iterator[tuple[float, float]]:
    for changed in (0.05, 0.1, 0.2, 0.3, 0.4, 0.6):
        for share in (0.5, 0.6, 0.75, 0.9, 0.98):
            yield changed, share


def _bounds(n: int, correction: float) -> tuple[Scores, Scores]:
    low, high = np.full((n + 1, n + 1), np.nan), np.full((n + 1, n + 1), np.nan)
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            low[wins, losses], high[wins, losses] = verdict.of_counts(wins, losses, n, correction=correction)
    return low, high


def _held(low: Scores, high: Scores, n: int, changed: float, share: float, at: float | None = None) -> float:
    """Return the exact chance that the interval holds the true difference."""
    truth = changed * (2 * share - 1) if at is None else at
    wins, losses = np.indices(low.shape)
    ties = n - wins - losses
    chance = np.zeros_like(low)
    possible = ties >= 0
    cells = np.stack([wins[possible], losses[possible], ties[possible]], axis=-1)
    chance[possible] = stats.multinomial.pmf(cells, n, [changed * share, changed * (1 - share), 1 - changed])
    return float(chance[possible & (low <= truth + 1e-12) & (high >= truth - 1e-12)].sum())


# ---------------------------------------------------------------- searches


class Found(NamedTuple):
    """One search: true quality of the winner and of the best tried, what it took, and its faults."""

    winner: float
    best: float
    calls: int
    reached: float
    candidates: int
    overspent: int
    repeated: int


def search_tasks(size: Size) -> list[Finding]:
    """Print what searches find; prove that none overspends, asks twice or differs when made again."""
    findings, rows, everything, wrong_estimates = [], [], [], 0
    for task in synthetic.TASKS:
        found = [_search(task, Plan(CALLS, seed)) for seed in range(size.searches)]
        everything += found
        expected = forecast.expected_calls(Plan(CALLS), EXAMPLES)
        wrong_estimates += not 0.7 <= expected / fmean(one.calls for one in found) <= 1.3
        rows.append(_told(task, found, expected))
        if task == "ten intents":
            short = [100 * (one.best - one.winner) for one in found]
            reached = [one.reached for one in found]
            findings += [
                figures.absolute(
                    "search: ten intents: winner below the best tried",
                    [fmean(short)],
                    unit="points",
                    target=3,
                ),
                figures.absolute(
                    "search: ten intents: calls until the leader has 0.70",
                    [median(reached)],
                    unit="calls",
                    target=150,
                ),
            ]
    figures.show_table(HEAD, rows)
    compare_plans(size)
    again = sum(
        _outcome(task, Plan(CALLS))[0].ranking != _outcome(task, Plan(CALLS))[0].ranking
        for task in synthetic.TASKS
    )
    return [
        *findings,
        figures.proof("search: calls beyond the plan", sum(one.overspent for one in everything)),
        figures.proof(
            "search: pairs of prompt and example asked twice", sum(one.repeated for one in everything)
        ),
        figures.proof("search: searches that differ when made again", again),
        figures.proof("search: estimates off by more than 30 %", wrong_estimates),
    ]


PLANS = {
    "as it is": Plan(CALLS),
    "first look at 10": Plan(CALLS, n_first=10),
    "first look at 20": Plan(CALLS, n_first=20),
    "no later rounds": Plan(CALLS, later=0.0),
    "half of the calls left for each later round": Plan(CALLS, later=0.5),
    "four finalists": Plan(CALLS, finalists=4),
    "always valid": Plan(CALLS, mode=Mode.ALWAYS_VALID),
    "exhaustive": Plan(CALLS, mode=Mode.EXHAUSTIVE),
}


def compare_plans(size: Size) -> None:
    """Print what other plans would find on the same tasks."""
    rows = []
    for name, plan in PLANS.items():
        winners = []
        for task in synthetic.TASKS:
            found = [_search(task, replace(plan, seed=seed)).winner for seed in range(size.searches)]
            winners.append(fmean(found))
        rows.append((name, *(f"{winner:.3f}" for winner in winners), f"{fmean(winners):.3f}"))
    figures.show_table(("winner's quality", *synthetic.TASKS, "mean"), rows)


HEAD = ("task", "winner", "worst in 20", "best tried", "candidates", "calls", "expected", "calls to 0.70")


def _told(task: str, found: list[Found], expected: int) -> tuple[str, ...]:
    winners = sorted(one.winner for one in found)
    reached = median(one.reached for one in found)
    return (
        task,
        f"{fmean(winners):.3f}",
        f"{winners[len(winners) // 20]:.3f}",
        f"{fmean(one.best for one in found):.3f}",
        f"{fmean(one.candidates for one in found):.1f}",
        f"{fmean(one.calls for one in found):.0f}",
        str(expected),
        "not" if reached > CALLS else f"{reached:.0f}",
    )


def _search(task: str, plan: Plan) -> Found:
    outcome, made, events = _outcome(task, plan)
    qualities = [made.quality(one.prompt) for one in outcome.candidates]
    return Found(
        qualities[outcome.winner],
        max(qualities),
        outcome.calls,
        _reached(events),
        len(qualities),
        max(0, len(made.pairs) - plan.calls),
        len(made.pairs) - len(set(made.pairs)),
    )


def _outcome(task: str, plan: Plan) -> tuple[Outcome, synthetic.Task, list[Event]]:
    made, events = synthetic.Task(task, EXAMPLES, plan.seed), list[Event]()
    outcome = optimizer.search(plan, made.baseline, EXAMPLES, made.propose, made.evaluate, events.append)
    return outcome, made, events


def _reached(events: list[Event]) -> float:
    """Return the calls after which the leader had 0.70 on 20 examples or more."""
    for event in events:
        if isinstance(event, Scored):
            _, n, mean = max(event.standings, key=lambda standing: standing[1:])
            if mean >= 0.7 and n >= 20:
                return event.calls
    return float("inf")
