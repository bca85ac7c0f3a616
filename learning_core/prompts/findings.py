"""What one look at an agent's prompt found, as people read it and as proposals learn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_jsonable_python

from learning_core.feedback.metrics import Issue as IssueShare
from learning_core.feedback.queries import Window
from learning_core.feedback.themes import Theme
from learning_core.prompts.evidence import Evidence, Issue, Pair, Quote, Rule
from learning_core.prompts.figures import Figures
from learning_core.prompts.remarks import About, Correction, Remark

QUOTES = 12
QUOTES_PER_ISSUE = 3
PAIRS = 20


class Statement(NamedTuple):
    """A correction rule, and whether somebody stands behind it."""

    id: UUID
    statement: str
    example_ids: tuple[UUID, ...]
    accepted: bool


@dataclass(frozen=True)
class Analysis:
    """What one look found.

    Attributes:
        version: Key of the version in question: the one in production, else the one reported last.
        in_production: Whether it has that label.
        current: The figures of that version; None where there is none.
        issues: What was complained about, most frequent first.
        telling: Complaints, the most severe first, each said once.
        about: What each of these is about, by its id.
        missing: What stands in the way of knowing more, in sentences.
    """

    agent: str
    window: Window
    version: str | None
    in_production: bool
    overall: Figures
    current: Figures | None
    issues: tuple[IssueShare, ...]
    telling: tuple[Remark, ...]
    about: Mapping[UUID, About]
    corrections: tuple[Correction, ...]
    rules: tuple[Statement, ...]
    guidelines: str | None
    themes: tuple[Theme, ...]
    missing: tuple[str, ...]

    def findings(self) -> dict[str, Any]:
        """Return all of it as JSON."""
        told: dict[str, Any] = to_jsonable_python(
            {
                "agent": self.agent,
                "since": self.window.since,
                "until": self.window.until,
                "version": self.version,
                "in_production": self.in_production,
                "overall": self.overall.told(),
                "current": self.current.told() if self.current else None,
                "issues": [self._issue(issue) for issue in self.issues],
                "quotes": [self._quote(remark) for remark in self.telling[:QUOTES]],
                "corrections": [_correction(correction) for correction in self.corrections[:PAIRS]],
                "rules": [rule._asdict() for rule in self.rules],
                "themes": [theme._asdict() for theme in self.themes],
                "has_guidelines": self.guidelines is not None,
                "missing": self.missing,
            }
        )
        return told

    def evidence(self) -> Evidence:
        """Return what proposals may learn from; only rules that somebody accepted are among it."""
        return Evidence(
            issues=tuple(
                Issue(issue.category, issue.share.value, issue.count, self._quotes_of(issue.category))
                for issue in self.issues
            ),
            feedback=tuple(self._as_evidence(remark) for remark in self.telling[:QUOTES]),
            corrections=tuple(
                Pair(str(one.example_id), one.question, one.given, one.corrected)
                for one in self.corrections[:PAIRS]
            ),
            rules=tuple(
                Rule(str(rule.id), rule.statement, tuple(map(str, rule.example_ids)))
                for rule in self.rules
                if rule.accepted
            ),
            guidelines=self.guidelines,
        )

    def _of_category(self, category: str) -> list[Remark]:
        return [remark for remark in self.telling if category in remark.categories][:QUOTES_PER_ISSUE]

    def _quotes_of(self, category: str) -> tuple[Quote, ...]:
        return tuple(self._as_evidence(remark, category) for remark in self._of_category(category))

    def _as_evidence(self, remark: Remark, category: str | None = None) -> Quote:
        category = category or next(iter(remark.categories), None)
        execution = self.about[remark.id].execution
        return Quote(str(remark.id), remark.text, category, remark.rating, execution)

    def _issue(self, issue: IssueShare) -> dict[str, Any]:
        return {
            "category": issue.category,
            "count": issue.count,
            "share": issue.share._asdict(),
            "change": issue.change._asdict() if issue.change else None,
            "quotes": [self._quote(remark) for remark in self._of_category(issue.category)],
        }

    def _quote(self, remark: Remark) -> dict[str, Any]:
        return {
            "id": remark.id,
            "feedback": remark.key,
            "execution": self.about[remark.id].execution,
            "text": remark.text,
            "categories": remark.categories,
            "rating": remark.rating,
            "created_at": remark.created_at,
        }


def _correction(correction: Correction) -> dict[str, Any]:
    return {name: value for name, value in correction._asdict().items() if name != "subject"}
