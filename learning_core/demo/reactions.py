"""How people in the demo story react to an answer: thumbs, stars, comments, corrections, reports."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple, TypeVar

from learning_core.demo.figures import Figures
from learning_core.demo.texts import Flaw, Topic, remarks
from learning_core.feedback.entries import (
    Dimensions,
    ExecutionEntry,
    FeedbackEntry,
    FeedbackType,
    IssueCategory,
)

T = TypeVar("T")


class Person(NamedTuple):
    """Someone of the firm who asks.

    Attributes:
        user_id: The person's key.
        agent_id: The agent of the person's own department.
        eagerness: How often the person asks, compared with others.
        outspokenness: How often the person reacts, compared with others.
        is_terse: Whether the person writes in fragments.
    """

    user_id: str
    agent_id: str
    eagerness: float
    outspokenness: float
    is_terse: bool


class Conversation(NamedTuple):
    """One execution and what lies behind it.

    Attributes:
        asked_at: When it took place.
        person: Who asked.
        topic: What about.
        flaw: What is wrong with the answer; None where nothing is.
        figures: The amounts, dates and clients it speaks of.
        execution: What the agent reports.
    """

    asked_at: datetime
    person: Person
    topic: Topic
    flaw: Flaw | None
    figures: Figures
    execution: ExecutionEntry


PLEASED = {
    FeedbackType.THUMBS_UP: 0.56,
    FeedbackType.STAR_RATING: 0.29,
    FeedbackType.DETAILED_FEEDBACK: 0.15,
}
UNAWARE = {FeedbackType.THUMBS_UP: 0.66, FeedbackType.STAR_RATING: 0.34}
"""Reactions to an answer whose flaw goes unnoticed; nobody writes about what they have not seen."""

DISPLEASED = {
    FeedbackType.THUMBS_DOWN: 0.31,
    FeedbackType.STAR_RATING: 0.22,
    FeedbackType.DETAILED_FEEDBACK: 0.19,
    FeedbackType.CORRECTION: 0.17,
    FeedbackType.REPORT_ISSUE: 0.11,
}
STRANDED = {FeedbackType.THUMBS_DOWN: 0.6, FeedbackType.REPORT_ISSUE: 0.4}

STARS_IF_PLEASED = {5: 0.53, 4: 0.39, 3: 0.08}
STARS_IF_DISPLEASED = {4: 0.04, 3: 0.30, 2: 0.44, 1: 0.22}

COMMENTED = {
    FeedbackType.THUMBS_DOWN: 0.42,
    FeedbackType.STAR_RATING: 0.35,
    FeedbackType.DETAILED_FEEDBACK: 1.0,
    FeedbackType.CORRECTION: 0.6,
    FeedbackType.REPORT_ISSUE: 0.85,
}
"""Share of displeased reactions that come with a comment."""

RATED = {
    FeedbackType.THUMBS_DOWN: 0.3,
    FeedbackType.STAR_RATING: 1.0,
    FeedbackType.DETAILED_FEEDBACK: 1.0,
    FeedbackType.CORRECTION: 0.35,
    FeedbackType.REPORT_ISSUE: 0.0,
}
"""Share of displeased reactions that come with stars."""

NOTICED = 0.85
"""Share of flaws that the person who reacts has noticed."""

HURT_SCALE = {
    IssueCategory.INCORRECT: "accuracy",
    IssueCategory.OUTDATED: "accuracy",
    IssueCategory.HALLUCINATION: "accuracy",
    IssueCategory.INCOMPLETE: "completeness",
    IssueCategory.UNCLEAR: "clarity",
    IssueCategory.FORMATTING: "clarity",
    IssueCategory.TONE: "helpfulness",
}


def choose(rng: Random, weights: Mapping[T, float]) -> T:
    """Draw one of the keys, as often as its weight says."""
    return rng.choices(list(weights), list(weights.values()))[0]


def react(rng: Random, conversation: Conversation, now: datetime) -> tuple[FeedbackEntry, ...]:
    """Return what the person says about the answer; nothing where it would be said only after `now`."""
    said_at = conversation.asked_at + _hesitation(rng)
    if said_at >= now:
        return ()
    if conversation.execution.output_text is None:
        return (_strand(rng, conversation, said_at),)
    if conversation.flaw is None:
        return (_approve(rng, conversation, said_at),)
    if rng.random() > NOTICED:
        return (_overlook(rng, conversation, said_at),)
    objection = _object(rng, conversation, conversation.flaw, said_at)
    if objection.feedback_type is FeedbackType.CORRECTION and rng.random() < 0.3:
        return (_entry(conversation, FeedbackType.THUMBS_DOWN, said_at - timedelta(seconds=15)), objection)
    return (objection,)


def _hesitation(rng: Random) -> timedelta:
    return timedelta(seconds=min(20 + rng.lognormvariate(4.8, 1.3), 3 * 86_400))


def _approve(rng: Random, conversation: Conversation, said_at: datetime) -> FeedbackEntry:
    kind, stars = choose(rng, PLEASED), choose(rng, STARS_IF_PLEASED)
    is_thumb = kind is FeedbackType.THUMBS_UP
    if is_thumb:
        stars = max(stars, 4)
    is_commented = kind is FeedbackType.DETAILED_FEEDBACK or rng.random() < 0.13
    return _entry(
        conversation,
        kind,
        said_at,
        rating=None if is_thumb and rng.random() < 0.5 else stars,
        dimensions=_dimensions(rng, kind, stars, None),
        feedback_text=_say(rng, conversation, remarks().praise if stars > 3 else remarks().lukewarm)
        if is_commented
        else None,
    )


def _overlook(rng: Random, conversation: Conversation, said_at: datetime) -> FeedbackEntry:
    kind, stars = choose(rng, UNAWARE), choose(rng, STARS_IF_PLEASED)
    is_rated = kind is FeedbackType.STAR_RATING
    return _entry(
        conversation,
        kind,
        said_at,
        rating=stars if is_rated else None,
        dimensions=_dimensions(rng, kind, stars, None),
    )


def _object(rng: Random, conversation: Conversation, flaw: Flaw, said_at: datetime) -> FeedbackEntry:
    kind, stars = choose(rng, DISPLEASED), choose(rng, STARS_IF_DISPLEASED)
    if kind is FeedbackType.THUMBS_DOWN:
        stars = min(stars, 2)
    is_correction = kind is FeedbackType.CORRECTION
    return _entry(
        conversation,
        kind,
        said_at,
        rating=stars if rng.random() < RATED[kind] else None,
        dimensions=_dimensions(rng, kind, stars, flaw.category),
        issue_categories=_issues(rng, kind, flaw.category),
        feedback_text=_complain(rng, conversation, flaw.comments) if rng.random() < COMMENTED[kind] else None,
        correction_text=conversation.topic.answer.format_map(conversation.figures) if is_correction else None,
    )


def _strand(rng: Random, conversation: Conversation, said_at: datetime) -> FeedbackEntry:
    kind = choose(rng, STRANDED)
    is_report = kind is FeedbackType.REPORT_ISSUE
    return _entry(
        conversation,
        kind,
        said_at,
        rating=1 if rng.random() < 0.4 else None,
        issue_categories=(IssueCategory.OTHER,) if is_report else (),
        feedback_text=_say(rng, conversation, remarks().failed) if is_report or rng.random() < 0.4 else None,
    )


def _entry(
    conversation: Conversation,
    kind: FeedbackType,
    said_at: datetime,
    *,
    rating: int | None = None,
    dimensions: Dimensions | None = None,
    issue_categories: tuple[IssueCategory, ...] = (),
    feedback_text: str | None = None,
    correction_text: str | None = None,
) -> FeedbackEntry:
    execution = conversation.execution
    return FeedbackEntry(
        id=f"{execution.execution_id}-{kind}",
        execution_id=execution.execution_id,
        agent_id=execution.agent_id,
        user_id=execution.user_id,
        feedback_type=kind,
        rating=rating,
        dimensions=dimensions or Dimensions(),
        issue_categories=issue_categories,
        feedback_text=feedback_text,
        correction_text=correction_text,
        created_at=said_at,
    )


def _issues(rng: Random, kind: FeedbackType, category: IssueCategory) -> tuple[IssueCategory, ...]:
    if kind is not FeedbackType.REPORT_ISSUE and rng.random() > 0.3:
        return ()
    related = {
        IssueCategory.OUTDATED: IssueCategory.INCORRECT,
        IssueCategory.HALLUCINATION: IssueCategory.INCORRECT,
    }
    if category in related and rng.random() < 0.3:
        return (category, related[category])
    return (category,)


def _dimensions(
    rng: Random, kind: FeedbackType, stars: int, category: IssueCategory | None
) -> Dimensions | None:
    if kind not in (FeedbackType.STAR_RATING, FeedbackType.DETAILED_FEEDBACK):
        return None
    hurt = HURT_SCALE.get(category) if category else None
    given = {
        scale: _nearby(rng, stars if scale == hurt or hurt is None else stars + 2)
        for scale in Dimensions.model_fields
        if scale == hurt or rng.random() < 0.7
    }
    return Dimensions.model_validate(given)


def _nearby(rng: Random, stars: int) -> int:
    return min(5, max(1, stars + rng.choice((-1, 0, 0, 0, 1))))


def _complain(rng: Random, conversation: Conversation, comments: tuple[str, ...]) -> str:
    words = rng.choice(comments)
    if conversation.person.is_terse:
        return _say(rng, conversation, (words,))
    before = rng.choice(remarks().before) if rng.random() < 0.2 else ""
    after = rng.choice(remarks().after) if rng.random() < 0.3 and words[-1] in ".!?" else ""
    return _say(rng, conversation, (before + words + after,))


def _say(rng: Random, conversation: Conversation, texts: tuple[str, ...]) -> str:
    text = rng.choice(texts).format_map(conversation.figures)
    return text.lower().rstrip(".") if conversation.person.is_terse else text
