"""For each release what it was made from, what became of the agent's metrics, and for each piece of feedback
the releases that learnt from it.

The effect is read as `measurement` kept it last.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.errors import NotFound
from learning_core.releases import impact
from learning_core.releases.impact import IMPACT, MEASURES, Change, Comparison, Impact
from learning_core.schema import ExampleStatus, ReleaseStatus


class Entry(NamedTuple):
    """A release and what became of it.

    Attributes:
        release: Row with id, agent, number, version (key of the prompt version), previous (that of the one it
            took over from; None where none was), status, created_at, full_at, finished_at, created_by.
        measured_at: When its effect was measured last; None where it was not yet.
    """

    release: Row[Any]
    impact: Impact | None
    measured_at: datetime | None

    @property
    def measures(self) -> list[str]:
        """Return the metrics by which the release is judged, the first that is known counts."""
        return [*({self.release.primary_metric} & MEASURES.keys()), *JUDGED_BY]


JUDGED_BY = ("satisfaction", "thumbs_up_share", "issue_rate", "correction_rate")
"""The metrics by which a release is judged where no experiment named one."""


class Shipped(NamedTuple):
    """A release that learnt from an example.

    Attributes:
        directly: Whether its prompt names the example, or feedback or a rule that came from it, among what it
            was made from.
    """

    entry: Entry
    directly: bool


class Heard(NamedTuple):
    """A piece of feedback and where it went.

    Attributes:
        feedback: Row with id, key, agent, feedback_type, rating, correction (bool), issue_categories,
            created_at, example_id, example_status (None where no example came of it).
        shipped: The releases that learnt from it, oldest first.
    """

    feedback: Row[Any]
    shipped: list[Shipped]

    @property
    def measures(self) -> list[str]:
        """Return the metrics that the feedback speaks to, the most particular first."""
        return measures_of(
            self.feedback.issue_categories,
            is_correction=self.feedback.correction,
            rating=self.feedback.rating,
        )

    def told(self, what: str) -> str:
        """Say in a few words what became of it; `what` is what the feedback is called."""
        standing = [one for one in self.shipped if one.entry.release.status != ReleaseStatus.ROLLED_BACK]
        if self.shipped:
            return told((standing or self.shipped)[0].entry, self.measures, what)
        status = self.feedback.example_status
        return f"{what} {NOT_SHIPPED.get(status, 'was counted; it became no example to learn from')}."


NOT_SHIPPED = {
    ExampleStatus.PENDING: "waits for review",
    ExampleStatus.NEEDS_REVISION: "waits for a reviewer to revise it",
    ExampleStatus.DISPUTED: "is being judged: reviewers disagree about it",
    ExampleStatus.FLAGGED: "is being looked at: a reviewer flagged it",
    ExampleStatus.APPROVED: "was approved; no release has learnt from it yet",
    ExampleStatus.REJECTED: "was looked at, and not taken to learn from",
    ExampleStatus.WITHDRAWN: "was withdrawn",
}
"""Where an example stands -> what became of the feedback it came from, as long as nothing shipped."""


def measures_of(issues: Sequence[str], *, is_correction: bool, rating: int | None) -> list[str]:
    """Return the metrics that a reaction speaks to, the most particular first."""
    named = [f"issue_{issue}" for issue in issues if f"issue_{issue}" in MEASURES]
    if is_correction:
        named.append("correction_rate")
    if rating is not None:
        named.append("satisfaction")
    return named or ["issue_rate"]


# ---------------------------------------------------------------- what a release was made from


def chain(session: Session, release_id: UUID) -> Row[Any]:
    """Return what a release was made from, from its experiment back to the feedback: experiment_id,
    experiment, experiment_status, verdict (JSON), decision, run_id, run_result (JSON), run_created_at,
    candidate (number), strategy, taught_count (examples, feedback and rules that the prompt names),
    dataset_id, dataset, dataset_version, example_count (of the agent, in the training split), choosing_count,
    proving_count (in the other splits), feedback_count (pieces that training examples came from), version
    (key), reason (of the version), author. What there was not is None, counts 0.

    Raises:
        NotFound: there is no such release.
    """
    found = session.execute(CHAIN, {"release": release_id}).one_or_none()
    if found is None:
        raise NotFound("There is no such release.")
    return found


# ---------------------------------------------------------------- what became of it


def entries(session: Session, agent: str | None = None, limit: int = 100) -> list[Entry]:
    """Return the releases that reached users, with their effect, the newest first."""
    return [
        _entry(row) for row in session.execute(ENTRIES, {"agent": agent, "release": None, "limit": limit})
    ]


def entry(session: Session, release_id: UUID) -> Entry:
    """Return a release with its effect.

    Raises:
        NotFound: there is no such release, or none that reached users.
    """
    row = session.execute(ENTRIES, {"agent": None, "release": release_id, "limit": 1}).one_or_none()
    if row is None:
        raise NotFound("There is no such release, or it has not reached anybody yet.")
    return _entry(row)


# ---------------------------------------------------------------- where a piece of feedback went


def of_example(session: Session, example_id: UUID) -> list[Shipped]:
    """Return the releases whose optimization learnt from an example, oldest first.

    It learnt from it when the example is in the training split of the dataset version that it worked on.
    """
    return [_shipped(row) for row in session.execute(SHIPPED, {"example": example_id})]


def of_feedback(session: Session, key: str) -> Heard:
    """Return where a piece of feedback went, by the id that its sender gave it.

    Raises:
        NotFound: there is no such feedback.
    """
    row = session.execute(FEEDBACK, {"key": key}).one_or_none()
    if row is None:
        raise NotFound(f"There is no feedback {key!r}.")
    return Heard(row, of_example(session, row.example_id) if row.example_id else [])


def told(found: Entry, measures: Sequence[str], what: str = "This") -> str:
    """Say in one line what a release did about what somebody had said."""
    release, status = found.release, ReleaseStatus(found.release.status)
    shipped = f"{what} {SHIPPED_WORDS.get(status, 'shipped in')} {release.version} (release {release.number})"
    best = effect(found, measures)
    return f"{shipped}: {impact.sentence(best[1])}." if best else f"{shipped}. Its effect is not known yet."


SHIPPED_WORDS = {
    ReleaseStatus.ROLLING_OUT: "is on its way to everybody with",
    ReleaseStatus.ROLLED_BACK: "was tried in, and taken back with",
}


def effect(found: Entry, measures: Sequence[str]) -> tuple[Comparison, Change] | None:
    """Return the first of some metrics whose change is known, by the comparison that says most."""
    known = (found.impact.best(metric) for metric in measures) if found.impact else ()
    return next((best for best in known if best), None)


def _entry(row: Row[Any]) -> Entry:
    return Entry(row, IMPACT.validate_python(row.figures) if row.figures else None, row.measured_at)


def _shipped(row: Row[Any]) -> Shipped:
    return Shipped(_entry(row), row.directly)


# ---------------------------------------------------------------- statements

LEARNT = """
    SELECT release.*, coalesce(release.run_id, experiment.run_id, (
        SELECT run_id FROM candidates
        WHERE prompt_version_id = release.version_id AND number > 0
        ORDER BY created_at, run_id LIMIT 1
    )) AS learnt_run_id
    FROM releases AS release
    LEFT JOIN learning_experiments AS experiment ON experiment.id = release.experiment_id
"""
"""Releases with the optimization that their prompt came from."""

CANDIDATE = """
    SELECT number, strategy, learnt_from FROM candidates
    WHERE run_id = learnt_run_id AND number > 0
      AND (prompt_version_id = release.version_id OR state = 'winner')
    ORDER BY prompt_version_id = release.version_id DESC NULLS LAST LIMIT 1
"""
"""The candidate that became the release's version, or else the winner."""

CHAIN = text(f"""
WITH release AS ({LEARNT} WHERE release.id = :release)
SELECT release.id, experiment.id AS experiment_id, experiment.name AS experiment,
       experiment.status AS experiment_status, experiment.verdict, experiment.decision,
       run.id AS run_id, run.result AS run_result, run.created_at AS run_created_at,
       candidate.number AS candidate, candidate.strategy, coalesce(taught.n, 0) AS taught_count,
       dataset.id AS dataset_id, dataset.name AS dataset, dataset.version AS dataset_version,
       coalesce(learnt.example_count, 0) AS example_count,
       coalesce(learnt.choosing_count, 0) AS choosing_count,
       coalesce(learnt.proving_count, 0) AS proving_count,
       coalesce(learnt.feedback_count, 0) AS feedback_count,
       version.key AS version, version.reason, version.author
FROM release
JOIN prompt_versions AS version ON version.id = release.version_id
LEFT JOIN learning_experiments AS experiment ON experiment.id = release.experiment_id
LEFT JOIN training_runs AS run ON run.id = learnt_run_id
LEFT JOIN training_datasets AS dataset ON dataset.id = run.dataset_id
LEFT JOIN LATERAL ({CANDIDATE}) AS candidate ON true
LEFT JOIN LATERAL (
    SELECT sum(jsonb_array_length(listed.value)) AS n
    FROM jsonb_each(candidate.learnt_from) AS listed
    WHERE listed.key IN ('examples', 'feedback', 'rules') AND jsonb_typeof(listed.value) = 'array'
) AS taught ON true
LEFT JOIN LATERAL (
    SELECT count(*) FILTER (WHERE split = 'train') AS example_count,
           count(*) FILTER (WHERE split = 'validation') AS choosing_count,
           count(*) FILTER (WHERE split = 'test') AS proving_count,
           count(member.feedback_id) FILTER (WHERE split = 'train') AS feedback_count
    FROM dataset_examples AS member JOIN learning_examples AS example ON example.id = member.example_id
    WHERE member.dataset_id = run.dataset_id AND example.agent_id = run.agent_id
) AS learnt ON true
""")  # noqa: S608 - the parts are constants

SHOWN = """
       release.id, agent.key AS agent, release.number, version.key AS version, before.key AS previous,
       release.status, release.created_at, release.full_at, release.finished_at, release.created_by,
       led.design ->> 'primary' AS primary_metric, impact.figures, impact.measured_at
"""
"""The columns of an entry."""

SHOWN_FROM = """
JOIN agents AS agent ON agent.id = release.agent_id
JOIN prompt_versions AS version ON version.id = release.version_id
LEFT JOIN releases AS previous ON previous.id = release.previous_id
LEFT JOIN prompt_versions AS before ON before.id = previous.version_id
LEFT JOIN learning_experiments AS led ON led.id = release.experiment_id
LEFT JOIN release_impacts AS impact ON impact.release_id = release.id
"""

ENTRIES = text(f"""
SELECT {SHOWN}
FROM releases AS release {SHOWN_FROM}
WHERE release.status NOT IN ('waiting', 'cancelled')
  AND NOT (release.created_by = 'setup' AND release.stage_since IS NULL)
  AND (CAST(:agent AS text) IS NULL OR agent.key = :agent)
  AND (CAST(:release AS uuid) IS NULL OR release.id = :release)
ORDER BY release.created_at DESC, release.id DESC
LIMIT :limit
""")  # noqa: S608 - the parts are constants

SHIPPED = text(f"""
WITH example AS (SELECT * FROM learning_examples WHERE id = :example),
release AS (
    {LEARNT}
    WHERE release.agent_id = (SELECT agent_id FROM example) AND release.status NOT IN ('waiting', 'cancelled')
)
SELECT {SHOWN},
       coalesce(
           candidate.learnt_from -> 'examples' ?| ARRAY[CAST(example.id AS text), example.key], false
       ) OR coalesce(
           candidate.learnt_from -> 'feedback' ?| ARRAY[CAST(said.id AS text), said.key], false
       ) OR EXISTS (
           SELECT FROM correction_rules AS rule
           WHERE example.id = ANY (rule.example_ids)
             AND candidate.learnt_from -> 'rules' ? CAST(rule.id AS text)
       ) AS directly
FROM example
JOIN release ON true
JOIN training_runs AS run ON run.id = learnt_run_id AND run.agent_id = example.agent_id
JOIN dataset_examples AS member
    ON member.dataset_id = run.dataset_id AND member.example_id = example.id AND member.split = 'train'
LEFT JOIN agent_feedback AS said ON said.id = example.feedback_id
LEFT JOIN LATERAL ({CANDIDATE}) AS candidate ON true {SHOWN_FROM}
ORDER BY release.number
""")  # noqa: S608 - the parts are constants

FEEDBACK = text("""
SELECT said.id, said.key, agents.key AS agent, feedback_type, said.rating,
       correction_text IS NOT NULL AS correction, said.issue_categories, said.created_at,
       example.id AS example_id, example.status AS example_status
FROM agent_feedback AS said
JOIN agents ON agents.id = said.agent_id
LEFT JOIN learning_examples AS example ON example.feedback_id = said.id
WHERE said.key = :key
""")
