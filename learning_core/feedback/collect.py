"""The one write path of feedback: store it, count it, make an example of it, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core.errors import NotFound
from learning_core.feedback import examples, exposures, rollup
from learning_core.feedback.entries import FeedbackEntry, Source
from learning_core.feedback.executions import Outcome, Status, as_json_array, register_agents

Keyed = tuple[str, FeedbackEntry]


def collect(session: Session, entries: Sequence[FeedbackEntry], source: Source) -> list[Outcome]:
    """Store feedback, or change what was stored under the same id.

    Agents are registered at first sight; an execution that is not known yet gets a place that its report
    fills later. Feedback whose id is already used for another execution, or whose execution belongs to
    another agent, is a conflict: nothing of it is stored. Feedback that had been withdrawn counts again.

    Returns:
        One outcome per entry, in order; entries without an id got one.
    """
    batch = uuid4().hex
    keyed = [(entry.id or f"fb-{batch}-{place}", entry) for place, entry in enumerate(entries)]
    outcomes: list[Outcome] = []
    for part in _parts(keyed):
        wave = _last_of_each(part)
        written, unsettled = _write(session, wave, source)
        if unsettled:
            _make_room(session, [wave[key] for key in unsettled])
            written, _ = _write(session, wave, source, may_be_unsettled=True)
        outcomes += [Outcome(key, written.get(key, Status.CONFLICT)) for key, _ in part]
    return outcomes


def withdraw(session: Session, key: str) -> UUID:
    """Take feedback out of every count; the row stays, and so does its trace.

    Returns:
        The id of the row.

    Raises:
        NotFound: there is no such feedback, or it is withdrawn already.
    """
    row = session.execute(WITHDRAW, {"key": key}).one_or_none()
    if row is None:
        raise NotFound(f"There is no feedback {key!r}, or it is withdrawn already.")
    examples.derive(session, [row.id])
    found: UUID = row.id
    return found


def _parts(keyed: Sequence[Keyed]) -> Iterator[list[Keyed]]:
    """Split entries, in order, where a key comes to stand for another execution."""
    if len({key for key, _ in keyed}) == len(keyed):
        yield list(keyed)
        return
    part: list[Keyed] = []
    meant: dict[str, tuple[str, str]] = {}
    for key, entry in keyed:
        execution = (entry.execution_id, entry.agent_id)
        if meant.setdefault(key, execution) != execution:
            yield part
            part, meant = [], {key: execution}
        part.append((key, entry))
    if part:
        yield part


def _last_of_each(part: Sequence[Keyed]) -> dict[str, FeedbackEntry]:
    """Return the last entry of each key; one without a time keeps the time given before."""
    last: dict[str, FeedbackEntry] = {}
    for key, entry in part:
        given_before = last[key].created_at if key in last else None
        if given_before and not entry.created_at:
            last[key] = entry.model_copy(update={"created_at": given_before})
        else:
            last[key] = entry
    return last


def _write(
    session: Session, wave: dict[str, FeedbackEntry], source: Source, *, may_be_unsettled: bool = False
) -> tuple[dict[str, Status], list[str]]:
    """Write all entries if each one's execution is settled: reported with prompt version and output.

    Else write none, so that nobody waits for counts that wait for an execution.

    Returns:
        What became of those that were written, and the keys of those whose execution is not settled.
    """
    parameters = {
        "keys": list(wave),
        "entries": as_json_array(list(wave.values())),
        "source": source,
        "may_be_unsettled": may_be_unsettled,
    }
    done = session.execute(WRITE, parameters | examples.rules()).one()
    examples.derive(session, done.may_teach)
    written = dict.fromkeys(wave, Status.CREATED) | dict.fromkeys(done.changed, Status.UPDATED)
    for key in done.unwritten:
        del written[key]
    return written, done.unsettled


def _make_room(session: Session, entries: Sequence[FeedbackEntry]) -> None:
    """Register agents, give unknown executions a place, and hold them while their report may still come.

    Feedback and the report of its execution may come at the same moment; whichever commits last must see
    the other. A report waits for these locks, and the locks wait for a report.
    """
    agents = {entry.execution_id: entry.agent_id for entry in reversed(entries)}  # the first one wins
    register_agents(session, set(agents.values()))
    keys = sorted(agents)
    session.execute(PLACE_EXECUTIONS, {"keys": keys, "agents": [agents[key] for key in keys]})
    session.execute(HOLD_EXECUTIONS, {"keys": keys})


PLACE_EXECUTIONS = text("""
INSERT INTO executions (key, agent_id)
SELECT place.key, agents.id
FROM unnest(CAST(:keys AS text[]), CAST(:agents AS text[])) AS place (key, agent_key)
JOIN agents ON agents.key = place.agent_key
ORDER BY place.key
ON CONFLICT (organization_id, key) DO NOTHING
""")

HOLD_EXECUTIONS = text("SELECT id FROM executions WHERE key = ANY(:keys) ORDER BY key FOR SHARE")

WRITE = text(f"""
WITH found AS (
    SELECT entry.*, known.id AS execution, known.agent_id AS agent, known.exposure_id,
           coalesce(known.prompt_version, '') AS prompt_version,
           known.prompt_version IS NOT NULL AND known.output_text IS NOT NULL AS is_settled
    FROM ROWS FROM (
        unnest(CAST(:keys AS text[])),
        jsonb_to_recordset(CAST(:entries AS jsonb)) AS (
            execution_id text, agent_id text, feedback_type text, user_id text, rating int2,
            dimensions jsonb, issue_categories text[], feedback_text text, correction_text text,
            created_at timestamptz
        )
    ) AS entry (key)
    LEFT JOIN agents ON agents.key = entry.agent_id
    LEFT JOIN executions AS known ON known.key = entry.execution_id AND known.agent_id = agents.id
),
incoming AS (
    SELECT * FROM found
    WHERE execution IS NOT NULL AND (:may_be_unsettled OR (SELECT bool_and(is_settled) FROM found))
),
written AS (
    INSERT INTO agent_feedback AS known (
        key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, accuracy, helpfulness,
        clarity, completeness, issue_categories, feedback_text, correction_text, source, created_at,
        exposure_id
    )
    SELECT key, agent, execution, prompt_version, user_id, feedback_type, rating,
           CAST(dimensions ->> 'accuracy' AS int2), CAST(dimensions ->> 'helpfulness' AS int2),
           CAST(dimensions ->> 'clarity' AS int2), CAST(dimensions ->> 'completeness' AS int2),
           issue_categories, nullif(feedback_text, ''), nullif(correction_text, ''), :source,
           coalesce(created_at, now()), exposure_id
    FROM incoming
    ORDER BY key
    ON CONFLICT (organization_id, key) DO UPDATE SET
        prompt_version = excluded.prompt_version, user_id = excluded.user_id,
        feedback_type = excluded.feedback_type, rating = excluded.rating, accuracy = excluded.accuracy,
        helpfulness = excluded.helpfulness, clarity = excluded.clarity,
        completeness = excluded.completeness, issue_categories = excluded.issue_categories,
        feedback_text = excluded.feedback_text, correction_text = excluded.correction_text,
        created_at = CASE WHEN excluded.created_at = excluded.received_at  -- none was given
                          THEN known.created_at ELSE excluded.created_at END,
        updated_at = now(), withdrawn_at = NULL, exposure_id = excluded.exposure_id
    WHERE known.execution_id = excluded.execution_id
    RETURNING old AS before, new AS after
),
{rollup.folded(rollup.FEEDBACK)},
{exposures.folded(exposures.FEEDBACK)}
SELECT ARRAY(SELECT unnest(CAST(:keys AS text[])) EXCEPT SELECT (after).key FROM written) AS unwritten,
       ARRAY(SELECT key FROM found WHERE NOT is_settled) AS unsettled,
       ARRAY(SELECT (after).key FROM written WHERE (before).id IS NOT NULL) AS changed,
       ARRAY(SELECT (after).id FROM written
             WHERE (before).id IS NOT NULL OR (after).correction_text IS NOT NULL
                OR (after).feedback_type = 'report_issue'
                OR ((after).rating >= :positive_rating
                    AND abs(hashtextextended((after).key, 0) % 10000) < 10000 * :sample_share)) AS may_teach
""")  # noqa: S608 - what is folded is made of constants

WITHDRAW = text(f"""
WITH written AS (
    UPDATE agent_feedback SET withdrawn_at = now()
    WHERE key = :key AND withdrawn_at IS NULL
    RETURNING old AS before, new AS after
),
{rollup.folded(rollup.FEEDBACK)},
{exposures.folded(exposures.FEEDBACK)}
SELECT (after).id AS id FROM written
""")  # noqa: S608 - what is folded is made of constants
