"""What a dataset shall be made of: rules that a person can read, and what training requires of the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learning_core.datasets.splits import Shares
from learning_core.feedback.entries import Key
from learning_core.feedback.intervals import Estimate, share
from learning_core.review import agreement
from learning_core.review.agreement import Outcome
from learning_core.review.bootstrap import TooLittle
from learning_core.schema import ExampleType, IssueCategory
from learning_core.settings import settings

if TYPE_CHECKING:
    import pandas as pd


class Rules(BaseModel):
    """What a dataset is made of; an empty list means any."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    agents: tuple[Key, ...] = ()
    domains: tuple[Key, ...] = ()
    example_types: tuple[ExampleType, ...] = ()
    issues: tuple[IssueCategory, ...] = ()
    minimum_quality: float = Field(default_factory=lambda: settings().training_quality, ge=0, le=1)
    verified_only: bool = False
    since: date | None = None
    until: date | None = None
    train_share: float = Field(0.7, ge=0, le=1)
    validation_share: float = Field(0.1, ge=0, le=1)
    test_share: float = Field(0.2, ge=0, le=1)
    seed: str = Field("1", min_length=1, max_length=40)

    @model_validator(mode="after")
    def hold_together(self) -> Rules:
        """Refuse dates in the wrong order and shares that do not add up."""
        if self.since and self.until and self.since > self.until:
            raise ValueError("the first day lies after the last")
        if abs(self.train_share + self.validation_share + self.test_share - 1) > 1e-9:
            raise ValueError("the shares of the splits must add up to 1")
        return self

    @property
    def shares(self) -> Shares:
        """Return the shares of the splits."""
        return Shares(self.train_share, self.validation_share, self.test_share)


class Gate(NamedTuple):
    """One requirement of training: what it takes, what there is, and whether that suffices."""

    name: str
    required: float
    found: float | None
    outcome: str
    n: int


@dataclass(frozen=True)
class Statistics:
    """What a dataset consists of.

    Attributes:
        example_count, group_count: Examples, and groups that stay together in one split.
        alike_count: Examples that nearly say the same as another one.
        by_type, by_split, by_agent: Number of examples.
        quality: Mean quality (0-1), None without examples.
        verified: Share (0-1) of examples that a person verified who did not write them.
        agreement: Share (0-1) of pairs of independent reviewers who decided alike, or why there is none. It
            counts all judged examples of the rules' agents, domains, types, issues and dates, whatever became
            of them: those that were approved were approved because reviewers agreed.
    """

    example_count: int
    group_count: int
    alike_count: int
    by_type: dict[str, int]
    by_split: dict[str, int]
    by_agent: dict[str, int]
    quality: float | None
    verified: Estimate | None
    agreement: Estimate | TooLittle

    def gates(self) -> list[Gate]:
        """Return the requirements of training, each with its outcome."""
        return [
            *_gates_without_agreement(self.example_count, self.quality, self.verified),
            self._agreement_gate(),
        ]

    def told(self) -> dict[str, Any]:
        """Return the statistics as JSON: estimates as {value, low, high, n}, a missing one as {reason, n}."""
        estimates = {"verified": self.verified, "agreement": self.agreement}
        named = {name: estimate and estimate._asdict() for name, estimate in estimates.items()}
        return asdict(self) | named

    @staticmethod
    def read(told: Mapping[str, Any]) -> Statistics:
        """Return the statistics that `told` told."""
        verified = Estimate(**told["verified"]) if told["verified"] else None
        kind = TooLittle if "reason" in told["agreement"] else Estimate
        return Statistics(**{**told, "verified": verified, "agreement": kind(**told["agreement"])})

    def _agreement_gate(self) -> Gate:
        required = settings().training_agreement
        outcome = agreement.check_gate(self.agreement, required).outcome
        found = None if isinstance(self.agreement, TooLittle) else self.agreement.value
        return Gate("agreement", required, found, outcome, self.agreement.n)


class Outlook(NamedTuple):
    """What rules would select now, as far as it is known without freezing; agreement takes longer to tell."""

    example_count: int
    quality: float | None
    verified: Estimate | None
    gates: list[Gate]


def outlook(by_type: pd.DataFrame) -> Outlook:
    """Sum up a preview (`queries.preview`)."""
    counts = by_type["example_count"]
    n = int(counts.sum())
    quality = round(float((by_type["quality"] * counts).sum()) / n, 4) if n else None
    verified = share(int(by_type["verified_count"].sum()), n)
    return Outlook(n, quality, verified, _gates_without_agreement(n, quality, verified))


def _gates_without_agreement(n: int, quality: float | None, verified: Estimate | None) -> list[Gate]:
    return [
        _gate("quality", settings().training_quality, quality, n),
        _gate("human-verified", settings().training_verified_share, verified.value if verified else None, n),
    ]


def _gate(name: str, required: float, found: float | None, n: int) -> Gate:
    if found is None:
        return Gate(name, required, None, Outcome.NOT_ENOUGH_DATA, n)
    return Gate(name, required, found, Outcome.PASSED if found >= required else Outcome.FAILED, n)
