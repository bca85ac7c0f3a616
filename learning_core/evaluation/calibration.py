"""How far a judge agrees with experts, told before anybody trusts it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.db import organization_session
from learning_core.errors import BudgetSpent, ModelFailed, NotEnoughData
from learning_core.evaluation import judge
from learning_core.evaluation.questions import Questions
from learning_core.feedback.intervals import Estimate
from learning_core.llm.exchange import Exchange
from learning_core.llm.requests import Model
from learning_core.review.agreement import cohen_kappa
from learning_core.review.bootstrap import RESAMPLES, TooLittle
from learning_core.review.tallies import Floats
from learning_core.schema import ModelRole

FEWEST = 10
"""Examples that both must have judged before a figure is shown."""
TRUSTED = 0.4
"""The agreement below which a judge is not to be trusted: less than moderate by the scale of Landis and Koch
(1977), "The measurement of observer agreement for categorical data", Biometrics 33, 159-174."""
ENOUGH = 40
"""Answers that a run has its judge score to tell how far it agrees with the experts."""
PASSES = 0.5
"""The judge's score (0-1) from which on it is taken to approve."""


class Pair(NamedTuple):
    """One answer that a judge and experts have judged.

    Attributes:
        item: The example.
        judged: The judge's score (0-1).
        quality: The experts' mean score (0-1); None where they gave none.
        approved: Whether they approved or rejected it; None where they did neither, or both.
    """

    item: str
    judged: float
    quality: float | None
    approved: bool | None


class Calibration(NamedTuple):
    """How far a judge agrees with experts.

    Attributes:
        rho: Spearman's rank correlation of the scores with its 95 % interval, or why there is none.
        kappa: Cohen's kappa of approving and rejecting with its 95 % interval, or why there is none.
        n: Number of answers that both judged.
        error_count: Number of answers of which the judge gave no usable score.
    """

    rho: Estimate | TooLittle
    kappa: Estimate | TooLittle
    n: int
    error_count: int = 0

    @property
    def is_trusted(self) -> bool:
        """Return whether there is a figure and none is below 0.4."""
        figures = [figure.value for figure in (self.rho, self.kappa) if isinstance(figure, Estimate)]
        return bool(figures) and min(figures) >= TRUSTED

    @property
    def words(self) -> str:
        """Return what that means for whoever reads this judge's scores."""
        told = [
            f"{name} {figure.value:.2f}"
            for name, figure in (("rank correlation", self.rho), ("kappa", self.kappa))
            if isinstance(figure, Estimate)
        ]
        if not told:
            return "Do not trust it yet: its agreement with the experts cannot be told."
        figures = f"{', '.join(told)} on {self.n} answers"
        if self.is_trusted:
            return f"It agrees with the experts: {figures}."
        return f"Do not trust it yet: it hardly agrees with the experts ({figures})."

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a run keeps; a figure that there is none of is left out."""
        figures = {"rho": self.rho, "kappa": self.kappa}
        known = {name: one._asdict() for name, one in figures.items() if isinstance(one, Estimate)}
        return {
            **known,
            "n": self.n,
            "error_count": self.error_count,
            "trusted": self.is_trusted,
            "words": self.words,
        }


class Annotated(NamedTuple):
    """An answer that experts have judged, and what they said of it; `quality` and `approved` as in `Pair`."""

    example_id: UUID
    question: str
    answer: str
    quality: float | None
    approved: bool | None


def calibrate(pairs: Sequence[Pair], rng: np.random.Generator, error_count: int = 0) -> Calibration:
    """Return how far a judge agrees with experts.

    Raises:
        NotEnoughData: fewer than ten answers were judged by both.
    """
    if len(pairs) < FEWEST:
        raise NotEnoughData(
            f"The judge and experts have both judged {len(pairs)} of the {FEWEST} answers needed."
        )
    rated = [(pair.judged, pair.quality) for pair in pairs if pair.quality is not None]
    decided = [pair for pair in pairs if pair.approved is not None]
    kappa = cohen_kappa(
        {pair.item: _decision(pair.judged >= PASSES) for pair in decided},
        {pair.item: _decision(bool(pair.approved)) for pair in decided},
    )
    return Calibration(_rank_correlation(rated, rng), kappa.estimate(rng), len(pairs), error_count)


def spearman(first: Floats, second: Floats) -> float:
    """Return Spearman's rank correlation of two rows of numbers; nan where one of them does not vary.

    Spearman (1904), "The proof and measurement of association between two things", American Journal of
    Psychology 15, 72-101: Pearson's correlation of the ranks, equal values sharing their mean rank.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 9.0]))
    1.0
    """
    one, other = _centred_ranks(first), _centred_ranks(second)
    spread = float(np.sqrt((one @ one) * (other @ other)))
    return round(float(one @ other) / spread, 12) if spread else float("nan")


def annotated(session: Session, agent: str, limit: int = 200) -> list[Annotated]:
    """Return answers of an agent that experts have scored or decided upon, the newest first.

    Judgements that were undone, preferences between two answers and mere remarks do not count. Several
    judgements of one answer make one: the mean of their scores, and the decision where they share it. Who
    wrote a better answer has decided upon that one.
    """
    return [Annotated(*row) for row in session.execute(ANNOTATED, {"agent": agent, "limit": limit})]


def calibrate_judge(
    exchange: Exchange,
    model: Model,
    criteria: Sequence[str],
    answers: Sequence[Annotated],
    rng: np.random.Generator,
) -> Calibration:
    """Let a judge score answers that experts have judged, and return how far they agree.

    The judge is not shown an expected answer: what experts approved would be its own.

    Raises:
        NotEnoughData: fewer than ten answers got a score from the judge.
        BudgetSpent, Interrupted: as the exchange says.
    """
    requests = [judge.request(model, criteria, one.question, None, one.answer) for one in answers]
    pairs = []
    for one, told in zip(answers, exchange.ask(requests), strict=True):
        try:
            judged = judge.parse(told.text, criteria).value if told.error is None else None
        except ModelFailed:
            continue
        if judged is not None:
            pairs.append(Pair(str(one.example_id), judged, one.quality, one.approved))
    return calibrate(pairs, rng, len(answers) - len(pairs))


def examine(
    organization_id: UUID, agent: str, questions: Questions, exchange: Exchange
) -> dict[str, Any] | None:
    """Return what a run says of its judge, in JSON: as `Calibration.told`, or only why there is no figure.

    None where no judge is asked. It takes a call for each of the newest answers that experts have judged.

    Raises:
        Interrupted: as the exchange says.
    """
    if not questions.criteria:
        return None
    with organization_session(organization_id) as session:
        answers = annotated(session, agent, ENOUGH)
    model, rng = questions.models[ModelRole.JUDGE], np.random.default_rng(0)
    try:
        return calibrate_judge(exchange, model, questions.criteria, answers, rng).told()
    except (NotEnoughData, BudgetSpent) as lacking:
        return {"trusted": False, "n": 0, "words": f"Do not trust it yet: {lacking.message}"}


def _decision(approved: bool) -> str:
    return "approve" if approved else "reject"


def _rank_correlation(
    rated: Sequence[tuple[float, float]], rng: np.random.Generator, confidence: float = 0.95
) -> Estimate | TooLittle:
    """Estimate Spearman's rho with a percentile interval from resampled answers."""
    n = len(rated)
    if n < FEWEST:
        return TooLittle(f"Answers with scores from both: {n} of the {FEWEST} needed.", n)
    first, second = np.array(rated, dtype=np.float64).T
    value = spearman(first, second)
    if np.isnan(value):
        return TooLittle("All scores are the same: there is nothing to correlate.", n)
    drawn = rng.integers(0, n, size=(RESAMPLES, n))
    resampled = np.array([spearman(first[rows], second[rows]) for rows in drawn])
    tail = (1 - confidence) / 2
    low, high = (float(end) for end in np.nanquantile(resampled, [tail, 1 - tail]))
    return Estimate(value, min(low, value), max(high, value), n)


def _centred_ranks(values: Floats) -> Floats:
    _, position, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(counts) - (counts - 1) / 2)[position]
    ranks -= ranks.mean()
    return ranks


ANNOTATED = text("""
SELECT example.id, example.input_text,
       coalesce(example.expected_output, example.original_output) AS answer,
       avg(said.quality) AS quality,
       CASE WHEN count(DISTINCT said.decision) FILTER (WHERE said.decision <> 'needs_revision') = 1
            THEN bool_or(said.decision = 'approve') END AS approved
FROM learning_examples AS example
JOIN agents ON agents.id = example.agent_id
JOIN (
    SELECT annotation.example_id, annotation.created_at,
           CASE WHEN annotation.corrected_output IS NULL THEN annotation.decision END AS decision,
           (SELECT avg(score) FROM unnest(ARRAY[
               annotation.technical_accuracy, annotation.professional_quality, annotation.completeness,
               annotation.clarity
           ]) AS score) AS quality
    FROM expert_annotations AS annotation WHERE annotation.undone_at IS NULL
) AS said ON said.example_id = example.id AND (said.quality IS NOT NULL OR said.decision IS NOT NULL)
WHERE agents.key = :agent AND example.example_type <> 'preference' AND example.input_text IS NOT NULL
  AND coalesce(example.expected_output, example.original_output) IS NOT NULL
GROUP BY example.organization_id, example.id
ORDER BY max(said.created_at) DESC, example.id
LIMIT :limit
""")
