"""What an optimization will take, said before it starts, and how its budget is divided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from statistics import fmean
from typing import Any

from learning_core.background import Cap
from learning_core.datasets.content import DatasetExample
from learning_core.errors import InvalidInput, NotEnoughData
from learning_core.evaluation import calibration
from learning_core.llm.ledger import Spend
from learning_core.llm.requests import Model
from learning_core.llm.templates import Prompt
from learning_core.prompts import forecast
from learning_core.prompts.optimizer import Plan
from learning_core.prompts.orders import Ground, Order, cap_of
from learning_core.prompts.racing import Mode
from learning_core.prompts.shapes import shape
from learning_core.prompts.strategies import STRATEGIES
from learning_core.schema import ModelRole

BYTES_PER_TOKEN = 4.0
MESSAGE_TOKENS = 4
SECTIONS_TOKENS, DEFINED_TOKENS = 40, 16
"""By which a prompt grows that says how to answer, and with each label or field that it defines."""
SEARCHED, WON = 0.65, 1.1
"""Share of the growth by definitions and examples together that candidates have on the mean, and winners."""
MARGIN = 1.3
"""What is kept aside for the check, in tokens and money: winners may be longer than most."""
QUESTION_TOKENS, REPLY_TOKENS = 400, 80
"""Of one question to the model that writes proposals."""
JUDGING_TOKENS, JUDGED_TOKENS = 400, 60
CALL_S = 1.0
"""Seconds of a call, as long as nothing is known of the model's pace."""
OVERHEAD_S = 0.02
"""Seconds that a call takes beside the model's time: asking, scoring and storing."""
USUALLY_AT_ONCE = 16
"""Calls that a search has on their way: blocks of a few candidates are waited for."""


@dataclass(frozen=True)
class Estimate:
    """What a run is expected to take, and the plan it rests on.

    Attributes:
        search_calls: Trials of candidates on examples that choose.
        verification: What is kept aside for the verdict.
        proposing: Calls of the model that writes proposals.
        seconds: With as many calls at a time as the model bears.
        usd: None where the model has no price.
    """

    plan: Plan
    search_calls: int
    proposing: int
    verification: Spend
    calls: int
    tokens: int
    usd: Decimal | None
    seconds: float

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps."""
        return {
            "search_calls": self.search_calls,
            "proposing_calls": self.proposing,
            "verification_calls": self.verification.calls,
            "verification": {**self.verification._asdict(), "usd": str(self.verification.usd)},
            "calls": self.calls,
            "tokens": self.tokens,
            "usd": None if self.usd is None else float(self.usd),
            "seconds": self.seconds,
        }


def estimate(order: Order, ground: Ground) -> Estimate:
    """Return what an optimization would take, within its cap.

    Raises:
        NotEnoughData: the cap is too small for a search and its check.
        InvalidInput: money alone is limited, and a model has no price.
    """
    priced = all(model.input_usd_per_million is not None for model in ground.models.values())
    if order.cap.usd is not None and not priced:
        raise InvalidInput(
            "A budget in money needs the prices of all models; an administrator adds them.", field="budget"
        )
    per_trial = 1 + len(ground.evaluator.needs)
    trial, checked = _trial(ground, SEARCHED), len(ground.sealed) + ground.evaluator.gate.probes
    verifying = _sum(_times(_trial(ground, 0), checked), _times(_trial(ground, WON), checked))
    if "judge" in ground.evaluator.needs:
        examining = _call(ground.models[ModelRole.JUDGE], JUDGING_TOKENS, JUDGED_TOKENS)
        verifying = _sum(verifying, _times(examining, calibration.ENOUGH))
    proposing = _proposing_calls(order, ground)
    cap = cap_of(order)
    kept = Spend(verifying.usd * Decimal(MARGIN), round(verifying.tokens * MARGIN), verifying.calls)
    room = _room(cap, kept, _times(_proposal(ground), proposing), trial)
    most = Plan.max_candidates * len(ground.portions.selection)
    plan = Plan(
        calls=min(room, most),
        seed=order.seed,
        strategies=tuple(order.strategies or STRATEGIES),
        mode=order.mode,
    )
    try:
        searching = forecast.expected_calls(plan, len(ground.portions.selection))
    except NotEnoughData as lacking:
        raise NotEnoughData(f"The budget does not suffice. {lacking.message} Raise it.") from lacking
    total = _sum(_times(trial, searching), verifying, _times(_proposal(ground), proposing))
    slots = min(ground.models[ModelRole.TASK].max_concurrency, USUALLY_AT_ONCE)
    return Estimate(
        plan=plan,
        search_calls=searching * per_trial,
        proposing=proposing,
        verification=kept,
        calls=total.calls,
        tokens=total.tokens,
        usd=total.usd if priced else None,
        seconds=total.calls * ((ground.call_s or CALL_S) / slots + OVERHEAD_S),
    )


def plan_told(plan: Plan) -> dict[str, Any]:
    """Return the JSON form of a plan."""
    return asdict(plan)


def read_plan(told: dict[str, Any]) -> Plan:
    """Return the plan that its JSON form stands for."""
    return Plan(**{**told, "strategies": tuple(told["strategies"]), "mode": Mode(told["mode"])})


def read_spend(told: dict[str, Any]) -> Spend:
    """Return the spend that its JSON form stands for."""
    return Spend(Decimal(told["usd"]), told["tokens"], told["calls"])


def _trial(ground: Ground, growth: float) -> Spend:
    """Return what one answer takes, with what judging it takes, of a prompt that grew by so large a share."""
    prompt_tokens = _tokens(ground.baseline.prompt, ground.portions.selection) + growth * _growth(ground)
    expected = [_length(example.expected_output) for example in ground.portions.selection]
    spend = _call(ground.models[ModelRole.TASK], prompt_tokens, fmean(expected) + 2)
    for role in sorted(ground.evaluator.needs):
        spend = _sum(spend, _call(ground.models[ModelRole(role)], JUDGING_TOKENS, JUDGED_TOKENS))
    return spend


def _growth(ground: Ground) -> float:
    """Return by how many tokens a prompt grows that defines everything and shows an example of each label."""
    kind = shape(ground.portions.teaching or ground.portions.selection)
    lengths = [
        _length(example.input_text) + _length(example.expected_output) for example in ground.portions.teaching
    ]
    shown = (len(kind.labels) or 4) * (fmean(lengths) + 2 * MESSAGE_TOKENS) if lengths else 0.0
    return SECTIONS_TOKENS + DEFINED_TOKENS * len(kind.labels + kind.fields) + shown


def _proposing_calls(order: Order, ground: Ground) -> int:
    if ModelRole.PROPOSER not in ground.models:
        return 0
    kind = shape(ground.portions.teaching or ground.portions.selection)
    names = order.strategies or tuple(STRATEGIES)
    each = max(len(kind.labels), len(kind.fields), 4)
    return sum(
        each if name == "scaffolded" else 4
        for name in names
        if STRATEGIES[name].needs_proposer or name == "scaffolded"
    )


def _proposal(ground: Ground) -> Spend:
    proposer = ground.models.get(ModelRole.PROPOSER)
    if proposer is None:
        return Spend(Decimal(0), 0, 0)
    return _call(proposer, QUESTION_TOKENS, REPLY_TOKENS)


def _room(cap: Cap, verifying: Spend, proposing: Spend, trial: Spend) -> int:
    """Return how many trials a cap has room for beside all else."""
    rooms = []
    for name in Spend._fields:
        most, other, one = (
            getattr(cap, name),
            getattr(verifying, name) + getattr(proposing, name),
            getattr(trial, name),
        )
        if most is not None and one:
            rooms.append(int((most - other) / one))
    room = min(rooms)
    if room < 1:
        raise NotEnoughData(
            f"The budget does not suffice: checking the best candidate alone takes {verifying.calls} calls."
            " Raise it, or use a dataset with a smaller test split."
        )
    return room


def _tokens(prompt: Prompt, examples: Sequence[DatasetExample]) -> float:
    own = sum(_length(message.text) + MESSAGE_TOKENS for message in prompt.messages)
    return own + fmean(_length(example.input_text) + _length(example.context or "") for example in examples)


def _length(text: str) -> float:
    return len(text.encode()) / BYTES_PER_TOKEN


def _call(model: Model, prompt_tokens: float, completion_tokens: float) -> Spend:
    tokens = round(prompt_tokens), round(completion_tokens)
    return Spend(model.price(*tokens), sum(tokens), 1)


def _times(spend: Spend, n: int) -> Spend:
    return Spend(spend.usd * n, spend.tokens * n, spend.calls * n)


def _sum(*spends: Spend) -> Spend:
    return Spend(*(sum(parts) for parts in zip(*spends, strict=True)))
