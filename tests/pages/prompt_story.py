"""Prompts of one agent and runs that improve them, in every state a run can be in, made up by rule.

A support desk's agent sorts messages into six topics. Each prompt answers right with a probability of its
own; all that pages show follows from what it answered.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import db
from learning_core.access import Caller
from learning_core.datasets import versions as datasets
from learning_core.datasets.curation import Rules
from learning_core.evaluation.metrics import mean
from learning_core.feedback import executions
from learning_core.feedback.collect import collect
from learning_core.llm.templates import Prompt
from learning_core.schema import Role
from tests.factories import approved_example, execution, feedback

AGENT = "ticket-router"
TOPICS = ("refund", "invoice", "cancellation", "address change", "sign-in trouble", "other")
BEGINNINGS = {
    "refund": "I was charged twice for {thing} and want my money back",
    "invoice": "Where do I find the bill of {month} for {thing}",
    "cancellation": "Please end my contract for {thing} by {month}",
    "address change": "We moved in {month}, please note the new street for {thing}",
    "sign-in trouble": "The code to open {thing} never reaches my phone since {month}",
    "other": "Does {thing} also come in another colour before {month}",
}
THINGS = (
    "the alarm",
    "my router",
    "the gym pass",
    "the streaming box",
    "a parking permit",
    "the garden phone",
)
MONTHS = ("January", "March", "May", "July", "September", "November")
BASELINE = "Sort the message into one of our topics and answer with its name."
STRATEGIES = (
    ("clarified", "Says in one sentence what each topic is for, and what to do in doubt."),
    ("few_shot", "Shows six messages that experts approved, one of each topic."),
    ("scaffolded", "Defines every topic, and asks for nothing but its name."),
    ("corrections", "Adds the three rules that users' corrections come to."),
    ("restructured", "Puts the list of topics last, where the model looks first."),
    ("combination", "Joins the definitions of one candidate with the examples of another."),
)
MODEL = {
    "name": "small",
    "provider": "openai",
    "base_url": "https://models.example/v1",
    "model": "small-1",
    "key_name": "OPENAI",
    "input_usd_per_million": "0.4",
    "output_usd_per_million": "1.6",
    "max_concurrency": 8,
    "timeout_s": 60,
    "structured_output": True,
}


@dataclass
class Story:
    """What was made: ids by name."""

    organization_id: UUID
    dataset: datasets.Version
    versions: list[UUID]
    runs: dict[str, UUID] = field(default_factory=dict)


def tell(
    organization_id: UUID,
    *,
    agent: str = AGENT,
    example_count: int = 40,
    version_count: int = 3,
    candidate_count: int = 6,
    cap_calls: int = 600,
    states: Sequence[str] = (),
    phrase: str | None = None,
) -> Story:
    """Make up feedback, a dataset, prompt versions and one run per state; a phrase stands in for all texts
    that strangers and models write.
    """
    rng = Random(7)
    caller = Caller(organization_id, "Cora", Role.ENGINEER)
    with db.organization_session(organization_id) as session:
        _react(session, agent, version_count, rng, phrase)
        _approve(session, agent, example_count, rng, phrase)
        rules = Rules(agents=(agent,), train_share=0.2, validation_share=0.4, test_share=0.4)
        dataset = datasets.freeze(session, caller, "Topics of messages", rules)
        versions = [_version(session, agent, number, phrase) for number in range(1, version_count + 1)]
        session.execute(LABEL, {"agent": agent, "label": "production", "version": versions[-1]})
        story = Story(organization_id, dataset, versions)
        for state in states or STATES:
            story.runs[state] = Telling(session, story, agent, rng, candidate_count, cap_calls, phrase).run(
                state
            )
    return story


def _react(session: Session, agent: str, versions: int, rng: Random, phrase: str | None) -> None:
    """Let people use the last versions for a month and say what they think."""
    now = datetime.now(UTC)
    served, said = [], []
    for number in range(240):
        when = now - timedelta(days=rng.randrange(30), minutes=rng.randrange(600) + 1)
        version = max(1, versions - rng.randrange(2))
        name = f"{agent[:80]}-{number}"
        served.append(
            execution(
                execution_id=name,
                agent_id=agent,
                input_text=phrase or _question(rng.choice(TOPICS), rng),
                output_text=phrase or rng.choice(TOPICS),
                prompt_version=f"v{version}",
                latency_ms=round(rng.uniform(300, 1500)),
                cost_usd="0.0003",
                error="The model did not answer." if rng.random() < 0.03 else None,
                created_at=when,
            )
        )
        if number % 3 == 0:
            said.append(_reaction(name, agent, when, rng, phrase))
    executions.record(session, served)
    collect(session, said, "import")


def _reaction(name: str, agent: str, when: datetime, rng: Random, phrase: str | None) -> Any:
    given: dict[str, Any] = {"execution_id": name, "agent_id": agent}
    given |= {"created_at": when + timedelta(seconds=30), "id": f"said-{name}"}
    rating = rng.choice((2, 3, 4, 4, 5))
    match rng.randrange(3):
        case 0:
            wrong = phrase or "Wrong desk: this was about a refund, not about an invoice."
            given |= {"feedback_type": "correction", "rating": 2, "correction_text": phrase or "refund"}
            given |= {"feedback_text": wrong, "issue_categories": ["incorrect"]}
        case 1:
            given |= {"feedback_type": "thumbs_up" if rating > 3 else "thumbs_down", "rating": rating}
        case _:
            given |= {"feedback_type": "star_rating", "rating": rating}
            if rating < 4:
                given |= {"feedback_text": phrase or "It wrote a whole letter instead of the topic."}
                given |= {"issue_categories": ["formatting"]}
    return feedback(**given)


def _approve(session: Session, agent: str, number: int, rng: Random, phrase: str | None) -> None:
    for place in range(number):
        topic = TOPICS[place % len(TOPICS)]
        approved_example(
            session,
            id=f"{agent[:80]}-example-{place:04}",
            agent_id=agent,
            input_text=f"{_question(topic, rng)} {phrase or ''}",
            expected_output=phrase or topic,
            original_output=phrase or rng.choice(TOPICS),
            domain="support",
        )


def _question(topic: str, rng: Random) -> str:
    """Write a message of its own: what is nearly the same would have to stay in one split."""
    words = BEGINNINGS[topic].format(thing=rng.choice(THINGS), month=rng.choice(MONTHS))
    told = " ".join(rng.choice(choices) for choices in DETAILS)
    label = " ".join(rng.sample(LABEL_WORDS, 9))
    return f"{words}. {told} The label says {label} {rng.randrange(10_000, 99_999)}."


LABEL_WORDS = tuple(
    begun + ended
    for begun in ("am", "bel", "cor", "dun", "el", "fal", "gar", "hol", "is", "jas")
    for ended in ("ber", "dale", "fin", "gate", "low", "mine")
)

DETAILS = (
    (
        "My sister noticed it first.",
        "It began last Tuesday.",
        "I only read the letter now.",
        "Nobody told us.",
    ),
    ("Your colleague in Bern promised a call.", "The shop sent me away.", "The robot hung up twice.", "Hm."),
    (
        "Three weeks have passed since.",
        "I travel abroad soon.",
        "My daughter needs it daily.",
        "It rains in.",
    ),
    ("Please write, do not phone.", "Call me after six.", "An e-mail is fine.", "Send a letter instead."),
    (
        "Thanks, Ana",
        "Regards, Mr Oduya",
        "Yours, the Kellers",
        "Bye for now",
        "Waiting, Lucía",
        "Cheers, Tom",
    ),
)


def _version(session: Session, agent: str, number: int, phrase: str | None) -> UUID:
    told = phrase or BASELINE + "".join(f"\nRule {rule}: {RULES[rule % 4]}" for rule in range(1, number))
    prompt = Prompt.from_text(f"{told}\n(Version {number}.)")
    values = {"agent": agent, "number": number, "key": f"v{number}", "messages": json.dumps(prompt.told())}
    values |= {"hash": prompt.content_hash, "reason": phrase or f"Rule {number - 1} was missing."}
    values |= {"author": phrase[:200] if phrase else "Cora"}
    stored: UUID = session.execute(VERSION, values).scalar_one()
    return stored


RULES = (
    "Answer with the name alone.",
    "A wish for money back is a refund, also where a bill is named.",
    "Where two topics fit, take the one asked for first.",
    "What fits nowhere is other.",
)

STATES = (
    "proposed",
    "queued",
    "running",
    "paused",
    "improved",
    "no evidence",
    "failed",
    "cancelled",
    "evaluated",
    "evaluated again",
)


class Telling:
    """Makes up one run."""

    def __init__(
        self,
        session: Session,
        story: Story,
        agent: str,
        rng: Random,
        candidates: int,
        cap_calls: int,
        phrase: str | None,
    ) -> None:
        self.session, self.story, self.agent, self.rng = session, story, agent, rng
        self.candidates, self.cap_calls, self.phrase = candidates, cap_calls, phrase
        rows = session.execute(
            text("SELECT example_id, split, content FROM dataset_examples WHERE dataset_id = :id ORDER BY 1"),
            {"id": story.dataset.id},
        ).all()
        self.examples: dict[str, list[Any]] = {"train": [], "validation": [], "test": []}
        for row in rows:
            self.examples[row.split].append(row)

    def run(self, state: str) -> UUID:
        """Make up a run in a state and return its id."""
        kind = "evaluation" if state.startswith("evaluated") else "prompt_optimization"
        self.calls = self.tokens = 0
        self.usd = 0.0
        self.points: list[list[Any]] = []
        self.id: UUID = self.session.execute(RUN, self._row(kind)).scalar_one()
        if kind == "evaluation":
            self._evaluate(skill=0.55 if state == "evaluated" else 0.7)
        elif state == "proposed":
            self._close("proposed", {"activity": "", "phase": "reading"})
        elif state == "queued":
            self._close("queued", {})
        else:
            self._optimize(state)
        return self.id

    def _row(self, kind: str) -> dict[str, Any]:
        counts = {split: len(rows) for split, rows in self.examples.items()}
        settings: dict[str, Any] = {
            "models": {
                "task": MODEL,
                "proposer": MODEL | {"name": "large", "model": "large-1"},
                "judge": None,
            },
            "seed": 7,
            "max_tokens": 64,
            "temperature": 0.0,
            "reuse": True,
            "dataset": {
                "name": self.story.dataset.name,
                "version": self.story.dataset.version,
                "content_hash": self.story.dataset.content_hash,
            },
            "counts": counts,
            "evidence_day": f"{datetime.now(UTC):%Y-%m-%d}",
        }
        if kind == "evaluation":
            settings["split"] = "validation"
        else:
            settings |= {"goals": self.phrase or "Fewer messages at the wrong desk.", "mode": "exploratory"}
            settings["strategies"] = [name for name, _ in STRATEGIES]
        estimate = {"calls": 520, "tokens": 190_000, "usd": 0.91, "seconds": 340.0}
        estimate |= {"search_calls": 420, "verification_calls": 100}
        return {
            "agent": self.agent,
            "kind": kind,
            "settings": json.dumps(settings),
            "estimate": json.dumps(estimate),
            "version": self.story.versions[-1],
            "dataset": self.story.dataset.id,
            "cap": self.cap_calls,
            "usd": 2,
        }

    def _evaluate(self, skill: float) -> None:
        candidate = self._candidate(0, "baseline", "The version that was asked for.", "baseline")
        values = self._answer(candidate, "validation", skill, 1.0)
        told = _estimate(values) | {"total": len(values), "gate": {"passed": True, "findings": []}}
        self._close("succeeded", {"activity": "Done."}, told, "all examples were scored")

    def _optimize(self, state: str) -> None:
        gain = 0.0 if state == "no evidence" else 0.28
        baseline = self._candidate(0, "baseline", "The prompt as it is.", "baseline")
        before = self._answer(baseline, "validation", 0.5, 1.0)
        best, best_mean, best_id = 0, 0.0, baseline
        for number in range(1, self.candidates + 1):
            strategy, reason = STRATEGIES[(number - 1) % len(STRATEGIES)]
            halted = state in ("running", "paused", "cancelled", "failed") and number > self.candidates // 2
            share = 0.4 if halted or number % 3 == 2 else 1.0
            candidate = self._candidate(number, strategy, reason, "dropped" if share < 1 else "finalist")
            if halted and number == self.candidates:
                continue  # proposed, and not scored yet
            values = self._answer(candidate, "validation", 0.5 + gain * number / self.candidates, share)
            if share == 1 and _mean(values) >= best_mean:
                best, best_mean, best_id = number, _mean(values), candidate
            leader = (best, best_mean) if best_mean > _mean(before) else (0, _mean(before))
            self.points.append([self.calls, round(self.usd, 6), self.tokens, *leader, len(before)])
        self._end(state, baseline, before, best, best_mean, best_id, gain)

    def _end(
        self,
        state: str,
        baseline: UUID,
        before: list[float],
        best: int,
        best_mean: float,
        best_id: UUID,
        gain: float,
    ) -> None:
        progress = {
            "activity": f"Scoring candidate {self.candidates} on 10 more examples",
            "phase": "searching",
            "planned_calls": 520,
            "points": self.points,
            "refused": [{"strategy": "reflective", "reason": "The same prompt as candidate 2."}],
            "seconds_left": 140.0,
        }
        if state in ("running", "paused", "failed", "cancelled"):
            words = {
                "running": None,
                "paused": "paused by Cora",
                "cancelled": "cancelled by Cora",
                "failed": "the model could not be reached",
            }[state]
            error = (
                "The model at models.example did not answer 5 times in a row." if state == "failed" else None
            )
            self._close(state, progress, None, words, error)
            return
        self.session.execute(STATE, {"id": best_id, "state": "winner" if gain else "finalist"})
        old = self._answer(baseline, "test", 0.5, 1.0)
        new = self._answer(best_id, "test", 0.5 + gain, 1.0)
        progress |= {"activity": "Done.", "phase": "done", "seconds_left": 0.0, "stop": STOP}
        result = self._result(before, best if gain else 0, best_mean, old, new, bool(gain))
        self._close("succeeded", progress, result, STOP)

    def _result(
        self,
        before: list[float],
        winner: int,
        best_mean: float,
        old: list[float],
        new: list[float],
        improved: bool,
    ) -> dict[str, Any]:
        wins = sum(b > a for a, b in zip(old, new, strict=True))
        losses = sum(b < a for a, b in zip(old, new, strict=True))
        gain = _mean(new) - _mean(old)
        return {
            "winner": winner,
            "verdict": {
                "kind": "improved" if improved else "no_evidence",
                "gain": gain,
                "low": gain - 0.1 if improved else min(gain - 0.16, -0.02),
                "high": gain + 0.1,
                "n": len(old),
                "wins": wins,
                "losses": losses,
                "ties": len(old) - wins - losses,
                "words": "Better beyond chance." if improved else "No better beyond chance.",
            },
            "baseline_test": _estimate(old),
            "winner_test": _estimate(new),
            "selection": {"winner_mean": best_mean, "baseline_mean": _mean(before), "n": len(before)},
            "search": {"calls": self.calls, "stop": STOP},
            "gate": {"passed": True, "findings": []},
            "regressions": losses,
            "test_uses": 1,
            "spent": {"calls": self.calls, "usd": self.usd, "tokens": self.tokens},
            "seconds": 312.0,
        }

    def _candidate(self, number: int, strategy: str, reason: str, state: str) -> UUID:
        said = self.session.execute(
            text("SELECT CAST(id AS text) FROM agent_feedback WHERE feedback_text IS NOT NULL LIMIT 3")
        ).scalars()
        learnt = {
            "issues": ["incorrect", "formatting"],
            "feedback": list(said),
            "examples": [row.content["id"] for row in self.examples["train"][:3]],
            "mined": [{"statement": self.phrase or RULES[1], "examples": []}],
        }
        if strategy == "clarified":
            learnt["diagnosis"] = self.phrase or "It writes letters where one word is wanted."
        if state == "dropped":
            learnt["dropped_because"] = "After 7 examples it trailed the best by more than chance explains."
        told = self.phrase or f"{BASELINE}\n\n# {strategy.capitalize()}\n" + "\n".join(
            f"- {topic}: what customers ask about {topic}, way {number}." for topic in TOPICS
        )
        prompt = Prompt.from_text(told if number else f"{BASELINE}\n(Version {len(self.story.versions)}.)")
        found: UUID = self.session.execute(
            CANDIDATE,
            {
                "run": self.id,
                "number": number,
                "strategy": strategy,
                "messages": json.dumps(prompt.told()),
                "hash": f"{prompt.content_hash}-{number}",
                "parents": [1, 2] if strategy == "combination" else [],
                "reason": self.phrase or reason,
                "learnt": json.dumps(learnt if number else {}),
                "state": state,
                "version": None if number else self.story.versions[-1],
            },
        ).scalar_one()
        return found

    def _answer(self, candidate: UUID, split: str, skill: float, share: float) -> list[float]:
        """Let a candidate answer the first examples of a split, and return what each is worth."""
        examples = self.examples[split]
        examples = examples[: max(1, round(len(examples) * share))]
        rows = [self._score(candidate, example, split, skill) for example in examples]
        self.session.execute(SCORE, rows)
        return [row["value"] for row in rows]

    def _score(self, candidate: UUID, example: Any, split: str, skill: float) -> dict[str, Any]:
        expected = example.content["expected_output"]
        right = self.rng.random() < skill
        wrong = f"This message seems to be about {self.rng.choice(TOPICS)}; happy to help!"
        output = self.phrase or (expected if right else wrong)
        failed = not right and self.rng.random() < 0.05
        self.calls += 1
        self.tokens += 350
        self.usd += 0.0018
        return {
            "candidate": candidate,
            "example": example.example_id,
            "split": split,
            "value": float(right),
            "parts": json.dumps({"label": float(right)}),
            "output": None if failed else output,
            "error": "The model did not answer in 60 seconds." if failed else None,
            "latency": self.rng.uniform(250, 900),
            "usd": 0.0018,
            "prompt_tokens": self.rng.randrange(200, 400),
            "completion_tokens": self.rng.randrange(2, 30),
        }

    def _close(
        self,
        status: str,
        progress: dict[str, Any],
        result: dict[str, Any] | None = None,
        stop: str | None = None,
        error: str | None = None,
    ) -> None:
        self.session.execute(
            CLOSE,
            {
                "id": self.id,
                "status": status,
                "progress": json.dumps(progress),
                "result": json.dumps(result) if result else None,
                "stop": stop,
                "error": error,
                "usd": self.usd,
                "tokens": self.tokens,
                "calls": self.calls,
                "begun": status not in ("proposed", "queued"),
                "over": status in ("succeeded", "failed", "cancelled"),
            },
        )


STOP = "The leading candidate is ahead of all others beyond chance."


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _estimate(values: list[float]) -> dict[str, Any]:
    found = mean(values)
    assert found
    told = {"mean": found.value, "low": found.low, "high": found.high, "n": found.n}
    return told | {"error_count": 0}


VERSION = text("""
INSERT INTO prompt_versions (agent_id, number, key, messages, content_hash, author, parent_id, reason)
SELECT id, :number, :key, CAST(:messages AS jsonb), :hash, :author,
       (SELECT id FROM prompt_versions WHERE agent_id = agents.id AND number = CAST(:number AS int) - 1),
       :reason
FROM agents WHERE key = :agent
RETURNING id
""")

LABEL = text("""
INSERT INTO prompt_labels (agent_id, label, version_id, set_by)
SELECT id, :label, :version, 'Cora' FROM agents WHERE key = :agent
""")

RUN = text("""
INSERT INTO training_runs
    (kind, agent_id, settings, prompt_version_id, dataset_id, cap_calls, cap_usd, estimate, started_by)
SELECT :kind, id, CAST(:settings AS jsonb), :version, :dataset, :cap, :usd, CAST(:estimate AS jsonb), 'Cora'
FROM agents WHERE key = :agent
RETURNING id
""")

CANDIDATE = text("""
INSERT INTO candidates (
    run_id, number, strategy, messages, content_hash, parents, reason, learnt_from, state, prompt_version_id
)
VALUES (
    :run, :number, :strategy, CAST(:messages AS jsonb), :hash, CAST(:parents AS smallint[]), :reason,
    CAST(:learnt AS jsonb), :state, CAST(:version AS uuid)
)
RETURNING id
""")

STATE = text("UPDATE candidates SET state = :state WHERE id = :id")

SCORE = text("""
INSERT INTO scores (
    candidate_id, example_id, split, value, parts, output, error, latency_ms, cost_usd, prompt_tokens,
    completion_tokens
)
VALUES (
    :candidate, :example, :split, :value, CAST(:parts AS jsonb), :output, :error, :latency, :usd,
    :prompt_tokens, :completion_tokens
)
""")

CLOSE = text("""
UPDATE training_runs SET
    status = :status, progress = CAST(:progress AS jsonb), result = CAST(:result AS jsonb),
    stop_reason = CAST(:stop AS text), error = CAST(:error AS text), spent_usd = :usd, spent_tokens = :tokens,
    spent_calls = :calls,
    started_at = CASE WHEN :begun THEN now() - interval '5 minutes' END,
    heartbeat_at = CASE WHEN :begun THEN now() END,
    finished_at = CASE WHEN :over THEN now() END
WHERE id = :id
""")
