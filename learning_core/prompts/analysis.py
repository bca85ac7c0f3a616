"""A look at an agent's prompt over thirty days: how it does, what goes wrong, and what is known about why.

People read the findings; proposals learn from the evidence, which holds nothing that would give away what
they are tested on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import TextClause, text
from sqlalchemy.orm import Session

from learning_core.datasets.content import DatasetExample
from learning_core.errors import NotFound
from learning_core.feedback import metrics, themes
from learning_core.feedback.queries import Window
from learning_core.feedback.themes import Comment
from learning_core.prompts import figures
from learning_core.prompts.evidence import Evidence
from learning_core.prompts.findings import Analysis, Statement
from learning_core.prompts.history import PRODUCTION
from learning_core.prompts.remarks import (
    About,
    Correction,
    Remark,
    about,
    corrections,
    distinct,
    most_telling,
    remarks,
)
from learning_core.prompts.sealing import READ_CHARACTERS, gives_away
from learning_core.schema import RuleStatus

DAYS = 30
ISSUES = 5
WEIGHED = 120
"""So many of the most severe complaints are looked at closely: what they are about, who says the same."""
WEIGHED_PER_ISSUE = 30


def analyse(
    session: Session,
    agent: str,
    today: date,
    days: int = DAYS,
    *,
    sealed: Sequence[DatasetExample] = (),
) -> Analysis:
    """Look at an agent's prompt over the days that end today.

    Args:
        session: The organisation's session.
        agent: The agent's key.
        today: The last day of the window (UTC).
        days: Its length.
        sealed: Examples that proposals are chosen by or tested on. Complaints and corrections that belong to
            one of them, or to a question like one of theirs, are left out, and so are rules that rest on
            them alone.

    Raises:
        NotFound: there is no such agent.
    """
    window = Window.last(days, today)
    known = session.execute(AGENT, {"agent": agent, "production": PRODUCTION}).one_or_none()
    if known is None:
        raise NotFound(f"There is no agent {agent!r}.")
    version = known.production or figures.newest_reported(session, agent, window)
    issues = metrics.issues(session, agent, window)[:ISSUES]
    said = remarks(session, agent, window)
    weighed = _weighed(said, [issue.category for issue in issues])
    details = about(session, [remark.id for remark in weighed])
    telling, corrected = _unsealed(weighed, details, corrections(session, agent, window), sealed)
    looked = Analysis(
        agent=agent,
        window=window,
        version=version,
        in_production=known.production is not None,
        overall=figures.overall(session, agent, window),
        current=figures.of_version(session, agent, version, window) if version else None,
        issues=tuple(issues),
        telling=tuple(distinct(telling)),
        about=details,
        corrections=tuple(corrected),
        rules=tuple(_rules(session, agent, {example.id for example in sealed})),
        guidelines=known.guidelines,
        themes=tuple(themes.find_themes([Comment(one.text, one.is_complaint, one.key) for one in said])),
        missing=(),
    )
    return replace(looked, missing=tuple(_missing(looked)))


def evidence(
    session: Session, agent: str, *, sealed: Sequence[DatasetExample], today: date | None = None
) -> Evidence:
    """Return what proposals for an agent may learn from, up to today; `sealed` is as in `analyse`.

    Raises:
        NotFound: there is no such agent.
    """
    return analyse(session, agent, today or datetime.now(UTC).date(), sealed=sealed).evidence()


def keep(session: Session, agent: str, today: date) -> Analysis | None:
    """Look at an agent's prompt and store what was found as the day's; None where nobody said anything.

    Of what people wrote only the ids are stored: `latest` shows the words of those who still stand by them.
    """
    looked = analyse(session, agent, today)
    if not looked.overall.feedback_count:
        return None
    findings = to_json(_without_words(looked.findings())).decode()
    session.execute(KEEP, {"agent": agent, "day": today, "findings": findings})
    return looked


def latest(session: Session, agent: str) -> dict[str, Any] | None:
    """Return the findings stored last, and created_at; None where there are none.

    Feedback that was withdrawn since, and corrections that were rejected, are no longer among the quotes.
    """
    row = session.execute(LATEST, {"agent": agent}).one_or_none()
    if row is None:
        return None
    findings: dict[str, Any] = row.findings
    for issue in findings["issues"]:
        issue["quotes"] = _with_words(session, SAID, issue["quotes"], "id")
    return findings | {
        "quotes": _with_words(session, SAID, findings["quotes"], "id"),
        "corrections": _with_words(session, CORRECTED, findings["corrections"], "example_id"),
        "created_at": row.created_at.isoformat(),
    }


def _weighed(said: Sequence[Remark], categories: Sequence[str]) -> list[Remark]:
    """Return the most severe complaints of all and of each category, in the order of severity."""
    ranked = most_telling(said)
    chosen = {remark.id for remark in ranked[:WEIGHED]}
    for category in categories:
        of_category = [remark.id for remark in ranked if category in remark.categories]
        chosen.update(of_category[:WEIGHED_PER_ISSUE])
    return [remark for remark in ranked if remark.id in chosen]


def _unsealed(
    weighed: Sequence[Remark],
    details: Mapping[UUID, About],
    corrected: Sequence[Correction],
    sealed: Sequence[DatasetExample],
) -> tuple[list[Remark], list[Correction]]:
    """Return the complaints and corrections that give no sealed example away."""
    if not sealed:
        return list(weighed), list(corrected)
    subjects = [*(details[one.id].subject for one in weighed), *(one.subject for one in corrected)]
    closed = gives_away(subjects, sealed)
    return (
        [one for one, is_closed in zip(weighed, closed, strict=False) if not is_closed],
        [one for one, is_closed in zip(corrected, closed[len(weighed) :], strict=True) if not is_closed],
    )


def _missing(looked: Analysis) -> Iterator[str]:
    days, version = looked.window.days, looked.version
    if not looked.in_production:
        yield "No prompt version is saved yet, so it is not known what the agent is told."
    if not looked.overall.execution_count:
        yield f"No answer was reported in the last {days} days."
    elif looked.current and not looked.current.execution_count:
        yield f"No answer was reported under {version!r}: the agent sends this key as prompt_version."
    elif version is None:
        yield "The agent does not say under which prompt version it answers."
    if not looked.overall.feedback_count:
        yield f"Nobody said what they think of an answer in the last {days} days."
    elif not looked.telling:
        yield "Nobody wrote what was wrong with an answer."
    if not looked.corrections:
        yield f"No answer of the last {days} days was corrected."
    if looked.guidelines is None:
        yield "There are no guidelines that reviewers of the answers go by."


def _rules(session: Session, agent: str, sealed: set[str]) -> Iterator[Statement]:
    """Yield an agent's rules, without those that rest on sealed examples alone."""
    for row in session.execute(RULES, {"agent": agent}):
        if not row.examples or not sealed.issuperset(row.examples):
            accepted = row.status == RuleStatus.ACCEPTED
            yield Statement(row.id, row.statement, tuple(row.example_ids), accepted)


WORDS_OF_QUOTES = ("text",)
WORDS_OF_PAIRS = ("question", "given", "corrected")


def _without_words(findings: dict[str, Any]) -> dict[str, Any]:
    def bare(shown: Iterable[dict[str, Any]], words: tuple[str, ...]) -> list[dict[str, Any]]:
        return [{name: value for name, value in one.items() if name not in words} for one in shown]

    issues = [issue | {"quotes": bare(issue["quotes"], WORDS_OF_QUOTES)} for issue in findings["issues"]]
    return findings | {
        "issues": issues,
        "quotes": bare(findings["quotes"], WORDS_OF_QUOTES),
        "corrections": bare(findings["corrections"], WORDS_OF_PAIRS),
    }


def _with_words(
    session: Session, statement: TextClause, shown: Sequence[dict[str, Any]], name: str
) -> list[dict[str, Any]]:
    """Return what is shown with the words that belong to it; without those, it is left out."""
    parameters = {"ids": [one[name] for one in shown], "characters": READ_CHARACTERS}
    words = {row.id: row._mapping for row in session.execute(statement, parameters)}
    return [
        one | {word: said for word, said in words[one[name]].items() if word != "id"}
        for one in shown
        if one[name] in words
    ]


AGENT = text("""
SELECT guidelines,
       (SELECT version.key FROM prompt_labels
        JOIN prompt_versions AS version ON version.id = version_id
        WHERE prompt_labels.agent_id = agents.id AND label = :production) AS production
FROM agents WHERE key = :agent
""")

RULES = text("""
SELECT id, statement, example_ids, status,
       ARRAY(SELECT coalesce(example.key, CAST(example.id AS text)) FROM learning_examples AS example
             WHERE example.id = ANY (example_ids)) AS examples
FROM correction_rules
WHERE agent_id = (SELECT id FROM agents WHERE key = :agent) AND status IN ('accepted', 'proposed')
ORDER BY status, created_at DESC, id
LIMIT 100
""")

KEEP = text("""
INSERT INTO prompt_analyses (agent_id, day, findings)
SELECT id, :day, CAST(:findings AS jsonb) FROM agents WHERE key = :agent
ON CONFLICT (organization_id, agent_id, day)
    DO UPDATE SET findings = excluded.findings, created_at = now()
""")

LATEST = text("""
SELECT findings, created_at FROM prompt_analyses
WHERE agent_id = (SELECT id FROM agents WHERE key = :agent)
ORDER BY day DESC LIMIT 1
""")

SAID = text("""
SELECT CAST(id AS text) AS id, left(feedback_text, :characters) AS text FROM agent_feedback
WHERE id = ANY (CAST(:ids AS uuid[])) AND withdrawn_at IS NULL AND feedback_text <> ''
""")

CORRECTED = text("""
SELECT CAST(id AS text) AS id, left(input_text, :characters) AS question,
       left(original_output, :characters) AS given,
       left(coalesce(approved_output, expected_output), :characters) AS corrected
FROM learning_examples
WHERE id = ANY (CAST(:ids AS uuid[])) AND status NOT IN ('rejected', 'withdrawn')
""")
