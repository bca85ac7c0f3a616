"""The terms of an experiment: what is compared, by what, and what must be reached before anybody is told.

They are fixed before the start. Nothing here is decided by data.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from learning_core.errors import InvalidInput
from learning_core.experiments.metrics import METRICS
from learning_core.experiments.statistics.planning import DEFAULT_ICC

CONTROL = "control"
"""The variant that the others are compared with."""

SHARE_ROUNDING = 1e-6


class Method(StrEnum):
    """When an experiment may decide: at any look, or by bounds that need an end planned before the start."""

    ALWAYS_VALID = "always_valid"
    PLANNED_END = "planned_end"


@dataclass(frozen=True)
class DesignVariant:
    """What some of the users meet.

    Attributes:
        name: "control", "treatment", "treatment_2", ...
        version_id: The prompt version, as text.
        version: Its name for people.
        share: Share (0-1) of the users in the experiment.
    """

    name: str
    version_id: str
    version: str
    share: float


@dataclass(frozen=True)
class Guardrail:
    """A bound on a metric that ends the experiment in favour of the control.

    Attributes:
        metric: Key of the metric.
        limit: Greatest value allowed, or where relative, greatest harm allowed as a share of the control.
        relative: Whether the limit is a share of the control.
    """

    metric: str
    limit: float
    relative: bool


@dataclass(frozen=True)
class Design:
    """What an experiment compares, and by which rules.

    Attributes:
        variants: At least two, one of them "control".
        primary: Key of the metric that alone decides.
        smallest_effect: The least difference worth knowing of, in the primary metric's unit.
        secondary: Keys of metrics that are shown beside it.
        guardrails: Bounds that end the experiment.
        significance: How often (0-1) a change without effect may be taken for one.
        minimum_hours: No verdict before so many hours since the first exposure.
        minimum_samples: Nor with fewer observations of the metric in both arms together.
        minimum_raters: Nor with fewer users who gave one in either arm.
        method: Whether it may be decided at any look, or is planned to end.
        planned_days: Days from the first exposure to the planned end; None without.
        icc: How alike the observations of one user are (0-1), known from before.
        weighted: Whether users are weighted by what their observations are worth.
        prior: Whether what users did before is used to see more.
        traffic: Share (0-1) of the agent's users in the experiment.
        ramp: Share (0-1) of these who meet a variant in the first phase.
    """

    variants: tuple[DesignVariant, ...]
    primary: str
    smallest_effect: float
    secondary: tuple[str, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    significance: float = 0.05
    minimum_hours: float = 168.0
    minimum_samples: int = 1000
    minimum_raters: int = 30
    method: Method = Method.ALWAYS_VALID
    planned_days: int | None = None
    icc: float = DEFAULT_ICC
    weighted: bool = False
    prior: bool = True
    traffic: float = 1.0
    ramp: float = 1.0

    def __post_init__(self) -> None:
        for reason, field in self._faults():
            raise InvalidInput(reason, field=field)

    @property
    def treatments(self) -> tuple[DesignVariant, ...]:
        """The variants but the control, in their order."""
        return tuple(each for each in self.variants if each.name != CONTROL)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The primary metric, then the secondary ones."""
        return (self.primary, *self.secondary)

    def _faults(self) -> list[tuple[str, str]]:
        names = [each.name for each in self.variants]
        checks = (
            (
                CONTROL in names and len(names) >= 2,
                "An experiment compares a control with a treatment.",
                "variants",
            ),
            (len(set(names)) == len(names), "Two variants have the same name.", "variants"),
            (
                all(each.share > 0 for each in self.variants),
                "Each variant needs a share of the users.",
                "variants",
            ),
            (
                abs(sum(each.share for each in self.variants) - 1) < SHARE_ROUNDING,
                "The shares of the variants do not add up to 1.",
                "variants",
            ),
            (all(each in METRICS for each in self.metrics), "There is no such metric.", "primary"),
            (len(set(self.metrics)) == len(self.metrics), "A metric is named twice.", "secondary"),
            (
                all(each.metric in METRICS for each in self.guardrails),
                "There is no such metric.",
                "guardrails",
            ),
            (0 < self.significance < 0.5, "The significance lies between 0 and 0.5.", "significance"),
            (self.minimum_hours > 0, "An experiment needs time.", "minimum_hours"),
            (self.minimum_samples > 0, "An experiment needs samples.", "minimum_samples"),
            (self.minimum_raters >= 2, "An experiment needs raters.", "minimum_raters"),
            (self.smallest_effect > 0, "The least effect worth knowing of is above 0.", "smallest_effect"),
            (0 <= self.icc < 1, "The intra-class correlation lies between 0 and 1.", "icc"),
            (
                0 < self.traffic <= 1 and 0 < self.ramp <= 1,
                "A share of traffic lies between 0 and 1.",
                "traffic",
            ),
            (
                self.method is Method.ALWAYS_VALID
                or (self.planned_days is not None and self.planned_days > 0),
                "A planned end needs its day.",
                "planned_days",
            ),
        )
        return [(reason, field) for holds, reason, field in checks if not holds]


DESIGN: TypeAdapter[Design] = TypeAdapter(Design)
"""Reads and writes the JSON form of a design."""
