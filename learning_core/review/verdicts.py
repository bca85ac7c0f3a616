"""What the judgements of an example come to: its status, output and quality. Decides, and stores nothing.

The verdict is a fold over the judgements in the order in which they were given, so that it can be told anew
whenever one is added or undone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from learning_core.schema import Decision, ExampleStatus, Preference

WEIGHTS = {"technical_accuracy": 0.4, "completeness": 0.25, "professional_quality": 0.2, "clarity": 0.15}
"""What each score counts for in the quality of an example: being right comes first."""

APPROVED_AS_IS = 0.8
"""Quality of an approval without scores: good enough to learn from, and no more is known."""


@dataclass(frozen=True)
class Judgement:
    """One person's decision about an example."""

    id: UUID
    annotator: str
    decision: Decision
    corrected_output: str | None = None
    preference: Preference | None = None
    scores: Mapping[str, float] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """Return the weighted mean of the scores given (0-1)."""
        return quality(self.scores)


@dataclass(frozen=True)
class Case:
    """An example as it came to review: what it proposes, who wrote that, and how many shall judge it."""

    proposed: str | None
    author: str | None = None
    overlap: int = 1
    alternatives: tuple[str, str] | None = None
    """Options A and B of a preference."""


@dataclass(frozen=True)
class Verdict:
    """What the judgements come to so far.

    Attributes:
        status: Where the example stands.
        reviews_wanted: How many judgements it takes in all; more than there are while it waits for one.
        output: The output settled on, None while there is none.
        quality: Mean quality (0-1) over those who approved, None without approval.
        is_verified: Whether somebody approved who did not write the output.
        confirmed: Annotation whose new text somebody else confirmed -> who did.
    """

    status: ExampleStatus
    reviews_wanted: int
    output: str | None = None
    quality: float | None = None
    is_verified: bool = False
    confirmed: Mapping[UUID, str] = field(default_factory=dict)


def quality(scores: Mapping[str, float]) -> float:
    """Return the weighted mean of the scores given; weights of missing ones go to the others.

    >>> round(quality({"technical_accuracy": 1.0, "clarity": 0.5}), 3)
    0.864
    """
    given = {name: score for name, score in scores.items() if name in WEIGHTS}
    if not given:
        return APPROVED_AS_IS
    weight = sum(WEIGHTS[name] for name in given)
    return sum(WEIGHTS[name] * score for name, score in given.items()) / weight


def judge(case: Case, judgements: Sequence[Judgement], bound: float) -> Verdict:
    """Return what judgements, in the order given, come to.

    As many people as the overlap says judge independently. Where they differ in the decision, in the new
    text, or in quality by more than the bound (0-1), one more is asked, and then the majority holds; without
    one the example is disputed, and the next judgement, by somebody new, settles it. An approval that writes
    a new text waits for somebody else to confirm it. A needed revision waits for somebody to write it.
    """
    state = _State(case, bound)
    for judgement in judgements:
        state.take(judgement)
    return Verdict(
        status=state.status,
        reviews_wanted=len(judgements) + max(0, state.wanted - len(state.round)),
        output=state.output if state.approvals else None,
        quality=_mean([judgement.quality for judgement in state.approvals]),
        is_verified=state.is_verified,
        confirmed=state.confirmed,
    )


class _State:
    """The fold: what is known after each judgement."""

    def __init__(self, case: Case, bound: float) -> None:
        self.case, self.bound = case, bound
        self.status = ExampleStatus.PENDING
        self.output = case.proposed
        self.given: list[Judgement] = []
        self.approvals: list[Judgement] = []
        self.is_verified = False
        self.confirmed: dict[UUID, str] = {}
        self.rewritten_by: Judgement | None = None
        self._next_round(case.overlap)

    def take(self, judgement: Judgement) -> None:
        self.given.append(judgement)
        self.round.append(judgement)
        if self.status is ExampleStatus.APPROVED:
            self._confirm(judgement)
        elif self.status is ExampleStatus.DISPUTED:
            self._adjudicate(judgement)
        elif len(self.round) >= self.wanted:
            self._weigh()

    def _weigh(self) -> None:
        """Settle a round of independent judgements, ask one more, or call it disputed."""
        position, holders = Counter(map(self._position, self.round)).most_common(1)[0]
        held = [judgement for judgement in self.round if self._position(judgement) == position]
        if holders == len(self.round) and _spread(held) <= self.bound:
            self._settle(held[-1], held)
        elif self.wanted == self.case.overlap:
            self.wanted += 1
        elif holders * 2 > len(self.round):
            self._settle(held[-1], held)
        else:
            self._dispute()

    def _adjudicate(self, judgement: Judgement) -> None:
        """Settle what was disputed; whoever said the same before has been confirmed."""
        position = self._position(judgement)
        self._settle(judgement, [each for each in self.given if self._position(each) == position])

    def _settle(self, judgement: Judgement, held: list[Judgement]) -> None:
        if judgement.decision is Decision.APPROVE and judgement.preference is Preference.TIE:
            self._close(ExampleStatus.REJECTED)
        elif judgement.decision is Decision.APPROVE:
            self._approve(judgement, held)
        elif judgement.decision is Decision.NEEDS_REVISION:
            self._close(ExampleStatus.NEEDS_REVISION)
            self.wanted = 1
        else:
            self._close(ExampleStatus.REJECTED)

    def _approve(self, judgement: Judgement, held: list[Judgement]) -> None:
        self.approvals = held
        self.status = ExampleStatus.APPROVED
        self._next_round(0)
        if self.case.alternatives and judgement.preference:
            first, second = self.case.alternatives
            self.output = first if judgement.preference is Preference.A else second
        if self._new_text(judgement) is None:
            self.is_verified = True
            return
        self.output = judgement.corrected_output
        self.is_verified = len(held) > 1
        if self.is_verified:
            self.confirmed[held[0].id] = held[1].annotator
        else:
            self.rewritten_by = judgement
            self.wanted = 1

    def _confirm(self, judgement: Judgement) -> None:
        """Take the judgement of somebody who was asked to confirm another's text."""
        chosen = self.approvals[-1].preference
        if judgement.decision is not Decision.APPROVE or judgement.preference is not chosen:
            self._dispute()
        elif self._new_text(judgement) is None:
            if self.rewritten_by:
                self.confirmed[self.rewritten_by.id] = judgement.annotator
            self.approvals = [*self.approvals, judgement]
            self.is_verified = True
            self._next_round(0)
        else:
            self._approve(judgement, [judgement])

    def _dispute(self) -> None:
        """Go back to what was proposed: it is what the person sees who settles it."""
        self.output = self.case.proposed
        self._close(ExampleStatus.DISPUTED)

    def _close(self, status: ExampleStatus) -> None:
        self.status, self.approvals, self.is_verified = status, [], False
        self._next_round(0)

    def _next_round(self, wanted: int) -> None:
        self.round: list[Judgement] = []
        self.wanted = wanted

    def _position(self, judgement: Judgement) -> tuple[Decision, Preference | None, str | None]:
        if judgement.decision is not Decision.APPROVE:
            return judgement.decision, None, None
        return judgement.decision, judgement.preference, self._new_text(judgement)

    def _new_text(self, judgement: Judgement) -> str | None:
        """Return the text a judgement puts in place of the current one, white space aside."""
        if judgement.corrected_output is None:
            return None
        words = " ".join(judgement.corrected_output.split())
        return None if words == " ".join((self.output or "").split()) else words


def _spread(judgements: Sequence[Judgement]) -> float:
    scored = [judgement.quality for judgement in judgements if judgement.scores]
    return round(max(scored) - min(scored), 9) if scored else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
