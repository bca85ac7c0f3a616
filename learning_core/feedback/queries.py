"""Questions about feedback: one function, one question, one statement, one frame.

Counts come from the daily roll-ups, rows from the index on agent and time, so the answers cost the same
whether an agent has a thousand pieces of feedback or ten million. An agent of None means all agents.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.db import frame

if TYPE_CHECKING:
    import pandas as pd


class Window(NamedTuple):
    """Whole days in UTC, both ends included."""

    since: date
    until: date

    @classmethod
    def last(cls, days: int, today: date) -> Window:
        """Return the window of that many days that ends today."""
        return cls(today - timedelta(days=days - 1), today)

    @property
    def days(self) -> int:
        """Return its length in days."""
        return (self.until - self.since).days + 1

    def before(self) -> Window:
        """Return the window of the same length that ends the day before this one begins."""
        return Window.last(self.days, self.since - timedelta(days=1))


def agents(session: Session, window: Window) -> pd.DataFrame:
    """Return one row per agent: agent (its key), feedback_count (int, in the window),
    last_feedback_day (date, ever; missing where there is none); the most talked about first.
    """
    return frame(
        session,
        """
        SELECT agents.key AS agent,
               CAST(coalesce(sum(feedback_count) FILTER (WHERE day BETWEEN :since AND :until), 0) AS bigint)
                   AS feedback_count,
               max(day) FILTER (WHERE feedback_count > 0) AS last_feedback_day
        FROM agents LEFT JOIN feedback_daily ON feedback_daily.agent_id = agents.id
        GROUP BY agents.key
        ORDER BY feedback_count DESC, agents.key
        """,
        **window._asdict(),
    )


def agent_exists(session: Session, key: str) -> bool:
    """Return whether an agent of that key was ever mentioned."""
    return bool(session.execute(text("SELECT true FROM agents WHERE key = :key"), {"key": key}).scalar())


def totals(session: Session, agent: str | None, window: Window) -> Row[Any]:
    """Return the counts of a window as one row.

    Of its feedback (int): feedback_count, thumbs_up, thumbs_down, rating_1 .. rating_5, correction_count,
    any_issue_count. Of the answers served: execution_count, error_count, latency_count, cost_count (int),
    latency_ms_sum (float, ms), cost_usd_sum (float, USD).
    """
    return session.execute(TOTALS, {"agent": agent, **window._asdict()}).one()


TOTALS = text("""
WITH chosen AS (
    SELECT id FROM agents WHERE CAST(:agent AS text) IS NULL OR key = :agent
),
reactions AS (
    SELECT CAST(coalesce(sum(feedback_count), 0) AS bigint) AS feedback_count,
           CAST(coalesce(sum(type_thumbs_up), 0) AS bigint) AS thumbs_up,
           CAST(coalesce(sum(type_thumbs_down), 0) AS bigint) AS thumbs_down,
           CAST(coalesce(sum(rating_1), 0) AS bigint) AS rating_1,
           CAST(coalesce(sum(rating_2), 0) AS bigint) AS rating_2,
           CAST(coalesce(sum(rating_3), 0) AS bigint) AS rating_3,
           CAST(coalesce(sum(rating_4), 0) AS bigint) AS rating_4,
           CAST(coalesce(sum(rating_5), 0) AS bigint) AS rating_5,
           CAST(coalesce(sum(correction_count), 0) AS bigint) AS correction_count,
           CAST(coalesce(sum(any_issue_count), 0) AS bigint) AS any_issue_count
    FROM feedback_daily
    WHERE agent_id = ANY (ARRAY(SELECT id FROM chosen)) AND day BETWEEN :since AND :until
),
served AS (
    SELECT CAST(coalesce(sum(execution_count), 0) AS bigint) AS execution_count,
           CAST(coalesce(sum(error_count), 0) AS bigint) AS error_count,
           CAST(coalesce(sum(latency_count), 0) AS bigint) AS latency_count,
           CAST(coalesce(sum(latency_ms_sum), 0) AS float8) AS latency_ms_sum,
           CAST(coalesce(sum(cost_count), 0) AS bigint) AS cost_count,
           CAST(coalesce(sum(cost_usd_sum), 0) AS float8) AS cost_usd_sum
    FROM executions_daily
    WHERE agent_id = ANY (ARRAY(SELECT id FROM chosen)) AND day BETWEEN :since AND :until
)
SELECT * FROM reactions, served
""")


def executions_by_day(session: Session, agent: str | None, window: Window) -> pd.DataFrame:
    """Return one row per agent and day with executions: day (date, UTC), agent (key), execution_count,
    error_count (int), latency_ms_mean (float, ms), cost_usd_sum (float, USD); by day.
    """
    return frame(
        session,
        """
        SELECT day, agents.key AS agent,
               CAST(sum(execution_count) AS bigint) AS execution_count,
               CAST(sum(error_count) AS bigint) AS error_count,
               CAST(sum(latency_ms_sum) / nullif(sum(latency_count), 0) AS float8) AS latency_ms_mean,
               CAST(sum(cost_usd_sum) AS float8) AS cost_usd_sum
        FROM executions_daily JOIN agents ON agents.id = agent_id
        WHERE agent_id = ANY (ARRAY(SELECT id FROM agents WHERE CAST(:agent AS text) IS NULL OR key = :agent))
          AND day BETWEEN :since AND :until AND execution_count > 0
        GROUP BY day, agents.key
        ORDER BY day, agents.key
        """,
        agent=agent,
        **window._asdict(),
    )


def stars(session: Session, agent: str | None, window: Window) -> pd.DataFrame:
    """Return how often each star was given: one row per scale (rating, accuracy, helpfulness, clarity,
    completeness): scale (str), star_1 .. star_5 (int); in that order, also where nothing was rated.
    """
    return frame(
        session,
        """
        WITH given AS (
            SELECT levels.*
            FROM feedback_daily, LATERAL (VALUES
                ('rating', rating_1, rating_2, rating_3, rating_4, rating_5),
                ('accuracy', accuracy_1, accuracy_2, accuracy_3, accuracy_4, accuracy_5),
                ('helpfulness', helpfulness_1, helpfulness_2, helpfulness_3, helpfulness_4, helpfulness_5),
                ('clarity', clarity_1, clarity_2, clarity_3, clarity_4, clarity_5),
                ('completeness', completeness_1, completeness_2, completeness_3, completeness_4,
                 completeness_5)
            ) AS levels (scale, one, two, three, four, five)
            WHERE agent_id = ANY (ARRAY(SELECT id FROM agents
                                        WHERE CAST(:agent AS text) IS NULL OR key = :agent))
              AND day BETWEEN :since AND :until
        )
        SELECT scale, CAST(coalesce(sum(one), 0) AS bigint) AS star_1,
               CAST(coalesce(sum(two), 0) AS bigint) AS star_2,
               CAST(coalesce(sum(three), 0) AS bigint) AS star_3,
               CAST(coalesce(sum(four), 0) AS bigint) AS star_4,
               CAST(coalesce(sum(five), 0) AS bigint) AS star_5
        FROM unnest(ARRAY['rating', 'accuracy', 'helpfulness', 'clarity', 'completeness'])
             WITH ORDINALITY AS scales (scale, place)
        LEFT JOIN given USING (scale)
        GROUP BY place, scale
        ORDER BY place
        """,
        agent=agent,
        **window._asdict(),
    )


def by_version(session: Session, agent: str, window: Window) -> pd.DataFrame:
    """Return one row per prompt version of an agent: prompt_version (str, '' where the agent named none),
    feedback_count, thumbs_up, thumbs_down, rating_1 .. rating_5, correction_count, any_issue_count (int),
    first_day, last_day (date); oldest first.
    """
    return frame(
        session,
        """
        SELECT prompt_version,
               CAST(sum(feedback_count) AS bigint) AS feedback_count,
               CAST(sum(type_thumbs_up) AS bigint) AS thumbs_up,
               CAST(sum(type_thumbs_down) AS bigint) AS thumbs_down,
               CAST(sum(rating_1) AS bigint) AS rating_1, CAST(sum(rating_2) AS bigint) AS rating_2,
               CAST(sum(rating_3) AS bigint) AS rating_3, CAST(sum(rating_4) AS bigint) AS rating_4,
               CAST(sum(rating_5) AS bigint) AS rating_5,
               CAST(sum(correction_count) AS bigint) AS correction_count,
               CAST(sum(any_issue_count) AS bigint) AS any_issue_count,
               min(day) AS first_day, max(day) AS last_day
        FROM feedback_daily
        WHERE agent_id = (SELECT id FROM agents WHERE key = :agent)
          AND day BETWEEN :since AND :until AND feedback_count > 0
        GROUP BY prompt_version
        ORDER BY first_day, prompt_version
        """,
        agent=agent,
        **window._asdict(),
    )


def issue_counts(session: Session, agent: str | None, window: Window) -> list[Row[Any]]:
    """Return how often each issue category was named, in a window and in the one before it.

    One row per category that occurs in the window, most frequent first: category (str), issue_count,
    feedback_count, issue_count_before, feedback_count_before (int; of all feedback in either window).
    """
    before = window.before()
    parameters = {"agent": agent, "before": before.since, **window._asdict()}
    return list(session.execute(ISSUE_COUNTS, parameters).all())


ISSUE_COUNTS = text("""
WITH windows AS (
    SELECT day >= :since AS is_now, sum(feedback_count) AS feedback,
           sum(issue_incorrect) AS incorrect, sum(issue_incomplete) AS incomplete,
           sum(issue_unclear) AS unclear, sum(issue_hallucination) AS hallucination,
           sum(issue_outdated) AS outdated, sum(issue_formatting) AS formatting,
           sum(issue_tone) AS tone, sum(issue_other) AS other
    FROM feedback_daily
    WHERE agent_id = ANY (ARRAY(SELECT id FROM agents WHERE CAST(:agent AS text) IS NULL OR key = :agent))
      AND day BETWEEN :before AND :until
    GROUP BY is_now
)
SELECT category,
       CAST(coalesce(sum(n) FILTER (WHERE is_now), 0) AS bigint) AS issue_count,
       CAST(coalesce(sum(feedback) FILTER (WHERE is_now), 0) AS bigint) AS feedback_count,
       CAST(coalesce(sum(n) FILTER (WHERE NOT is_now), 0) AS bigint) AS issue_count_before,
       CAST(coalesce(sum(feedback) FILTER (WHERE NOT is_now), 0) AS bigint) AS feedback_count_before
FROM windows, LATERAL (VALUES
    ('incorrect', incorrect), ('incomplete', incomplete), ('unclear', unclear),
    ('hallucination', hallucination), ('outdated', outdated), ('formatting', formatting),
    ('tone', tone), ('other', other)
) AS counted (category, n)
GROUP BY category HAVING sum(n) FILTER (WHERE is_now) > 0
ORDER BY issue_count DESC, category
""")


def by_period(
    session: Session, agent: str | None, window: Window, days: int, agents: int | None
) -> pd.DataFrame:
    """Return one row per agent and period of that many days, counted back from the window's end; whole ones.

    Columns: agent (key; missing for all beyond the first `agents` taken together; None takes all singly),
    first_day, last_day (date, UTC), feedback_count, thumbs_up, thumbs_down, rating_1 .. rating_5,
    correction_count, any_issue_count (int); the most talked about agent first, then oldest first.
    """
    return frame(
        session,
        """
        WITH ranked AS (
            SELECT agents.id, agents.key,
                   row_number() OVER (ORDER BY sum(feedback_count) DESC, agents.key) AS place
            FROM feedback_daily JOIN agents ON agents.id = agent_id
            WHERE agent_id = ANY (ARRAY(SELECT id FROM agents
                                        WHERE CAST(:agent AS text) IS NULL OR key = :agent))
              AND day BETWEEN :since AND :until
            GROUP BY agents.id, agents.key
        ),
        dated AS (
            SELECT feedback_daily.*, CASE WHEN place <= coalesce(:agents, place) THEN ranked.key END AS agent,
                   least(place, :agents + 1) AS place, (CAST(:until AS date) - day) / :days AS periods_ago
            FROM feedback_daily JOIN ranked ON ranked.id = agent_id
            WHERE day BETWEEN :since AND :until AND feedback_count > 0
        )
        SELECT agent,
               CAST(:until AS date) - (periods_ago + 1) * :days + 1 AS first_day,
               CAST(:until AS date) - periods_ago * :days AS last_day,
               CAST(sum(feedback_count) AS bigint) AS feedback_count,
               CAST(sum(type_thumbs_up) AS bigint) AS thumbs_up,
               CAST(sum(type_thumbs_down) AS bigint) AS thumbs_down,
               CAST(sum(rating_1) AS bigint) AS rating_1, CAST(sum(rating_2) AS bigint) AS rating_2,
               CAST(sum(rating_3) AS bigint) AS rating_3, CAST(sum(rating_4) AS bigint) AS rating_4,
               CAST(sum(rating_5) AS bigint) AS rating_5,
               CAST(sum(correction_count) AS bigint) AS correction_count,
               CAST(sum(any_issue_count) AS bigint) AS any_issue_count
        FROM dated
        WHERE periods_ago < (CAST(:until AS date) - CAST(:since AS date) + 1) / :days
        GROUP BY place, agent, periods_ago
        ORDER BY place, last_day
        """,
        agent=agent,
        days=days,
        agents=agents,
        **window._asdict(),
    )


def newest_versions(session: Session, window: Window) -> pd.DataFrame:
    """Return the two newest prompt versions of each agent that were rated in the window, the older first.

    Columns: agent (key), prompt_version (str), rating_1 .. rating_5 (int).
    """
    return frame(
        session,
        """
        WITH rated AS (
            SELECT agent_id, prompt_version,
                   CAST(sum(rating_1) AS bigint) AS rating_1, CAST(sum(rating_2) AS bigint) AS rating_2,
                   CAST(sum(rating_3) AS bigint) AS rating_3, CAST(sum(rating_4) AS bigint) AS rating_4,
                   CAST(sum(rating_5) AS bigint) AS rating_5,
                   row_number() OVER (PARTITION BY agent_id ORDER BY min(day) DESC, prompt_version DESC)
                       AS place
            FROM feedback_daily
            WHERE day BETWEEN :since AND :until AND prompt_version <> '' AND rating_count > 0
            GROUP BY agent_id, prompt_version
        )
        SELECT agents.key AS agent, prompt_version, rating_1, rating_2, rating_3, rating_4, rating_5
        FROM rated JOIN agents ON agents.id = agent_id
        WHERE place <= 2
        ORDER BY agents.key, place DESC
        """,
        **window._asdict(),
    )


def top_issues(session: Session, window: Window) -> pd.DataFrame:
    """Return each agent's most frequent issue, if any: agent (key), category (str), issue_count (int)."""
    return frame(
        session,
        """
        SELECT DISTINCT ON (agents.key) agents.key AS agent, category,
               CAST(sum(n) AS bigint) AS issue_count
        FROM feedback_daily JOIN agents ON agents.id = agent_id,
             LATERAL (VALUES
                ('incorrect', issue_incorrect), ('incomplete', issue_incomplete), ('unclear', issue_unclear),
                ('hallucination', issue_hallucination), ('outdated', issue_outdated),
                ('formatting', issue_formatting), ('tone', issue_tone), ('other', issue_other)
             ) AS counted (category, n)
        WHERE day BETWEEN :since AND :until
        GROUP BY agents.key, category HAVING sum(n) > 0
        ORDER BY agents.key, issue_count DESC, category
        """,
        **window._asdict(),
    )


def comments(session: Session, agent: str | None, window: Window, limit: int = 5_000) -> pd.DataFrame:
    """Return the latest comments, newest first.

    Columns: id (key of the feedback), execution (key), agent (key), text, created_at (UTC), is_complaint
    (bool: it came with thumbs down, two stars or fewer, a report or an issue category).
    """
    return frame(
        session,
        """
        WITH newest AS (
            SELECT latest.*, agents.key AS agent
            FROM agents
            CROSS JOIN LATERAL (
                SELECT * FROM agent_feedback AS feedback
                WHERE feedback.agent_id = agents.id
                  AND created_at >= CAST(:since AS date)
                  AND created_at < CAST(:until AS date) + 1
                  AND withdrawn_at IS NULL AND feedback_text IS NOT NULL
                ORDER BY created_at DESC
                LIMIT :limit
            ) AS latest
            WHERE CAST(:agent AS text) IS NULL OR agents.key = :agent
            ORDER BY latest.created_at DESC, latest.key
            LIMIT :limit
        )
        SELECT newest.key AS id, executions.key AS execution, agent, feedback_text AS text,
               newest.created_at,
               feedback_type IN ('thumbs_down', 'report_issue') OR coalesce(rating, 5) <= 2
                   OR issue_categories <> '{}' AS is_complaint
        FROM newest JOIN executions ON executions.id = newest.execution_id
        ORDER BY newest.created_at DESC, newest.key
        """,
        agent=agent,
        limit=limit,
        **window._asdict(),
    )


def latest(
    session: Session,
    agent: str | None,
    window: Window,
    *,
    feedback_types: Sequence[str] = (),
    category: str | None = None,
    with_comment: bool = False,
    limit: int = 100,
) -> pd.DataFrame:
    """Return the latest feedback in force: id (key), created_at (UTC), agent (key), execution (key),
    feedback_type (str), rating (1-5 or missing), issue_categories (list of str), feedback_text,
    correction_text, user_id (str or missing), prompt_version (str, '' for none), source (str);
    newest first, at most `limit` rows.
    """
    return frame(
        session,
        """
        WITH newest AS (
            SELECT latest.*, agents.key AS agent
            FROM agents
            CROSS JOIN LATERAL (
                SELECT * FROM agent_feedback AS feedback
                WHERE feedback.agent_id = agents.id
                  AND created_at >= CAST(:since AS date)
                  AND created_at < CAST(:until AS date) + 1
                  AND withdrawn_at IS NULL
                  AND (cardinality(CAST(:types AS text[])) = 0
                       OR feedback_type = ANY (CAST(:types AS text[])))
                  AND (CAST(:category AS text) IS NULL OR CAST(:category AS text) = ANY (issue_categories))
                  AND (NOT :with_comment OR feedback_text IS NOT NULL)
                ORDER BY created_at DESC
                LIMIT :limit
            ) AS latest
            WHERE CAST(:agent AS text) IS NULL OR agents.key = :agent
            ORDER BY latest.created_at DESC, latest.key
            LIMIT :limit
        )
        SELECT newest.key AS id, newest.created_at, agent, executions.key AS execution, feedback_type, rating,
               issue_categories, feedback_text, correction_text, newest.user_id, newest.prompt_version, source
        FROM newest JOIN executions ON executions.id = newest.execution_id
        ORDER BY newest.created_at DESC, newest.key
        """,
        agent=agent,
        types=list(feedback_types),
        category=category,
        with_comment=with_comment,
        limit=limit,
        **window._asdict(),
    )


def execution(session: Session, key: str) -> pd.DataFrame:
    """Return the execution of that key, or no row: id (key), agent (key), prompt_version, user_id,
    input_text, output_text, error (str or missing), latency_ms (float), cost_usd (float), created_at (UTC),
    reported (bool: False where it is known from feedback alone).
    """
    return frame(
        session,
        """
        SELECT executions.key AS id, agents.key AS agent, prompt_version, user_id, input_text, output_text,
               error, latency_ms, CAST(cost_usd AS float8) AS cost_usd, executions.created_at,
               reported_at IS NOT NULL AS reported
        FROM executions JOIN agents ON agents.id = agent_id
        WHERE executions.key = :key
        """,
        key=key,
    )


def feedback_of_execution(session: Session, key: str) -> pd.DataFrame:
    """Return all feedback on an execution: id (key), created_at (UTC), feedback_type, rating, accuracy,
    helpfulness, clarity, completeness, issue_categories, feedback_text, correction_text, user_id, source,
    withdrawn (bool), example_id, example_type, example_status (str, missing where it made no example);
    oldest first.
    """
    return frame(
        session,
        """
        SELECT feedback.key AS id, feedback.created_at, feedback_type, feedback.rating, accuracy, helpfulness,
               clarity, completeness, feedback.issue_categories, feedback_text, correction_text,
               feedback.user_id, feedback.source, withdrawn_at IS NOT NULL AS withdrawn,
               CAST(example.id AS text) AS example_id, example_type, status AS example_status
        FROM agent_feedback AS feedback
        LEFT JOIN learning_examples AS example ON example.feedback_id = feedback.id
        WHERE feedback.execution_id = (SELECT id FROM executions WHERE key = :key)
        ORDER BY feedback.created_at
        """,
        key=key,
    )


def pending_examples(session: Session) -> pd.DataFrame:
    """Return how many examples wait for review: agent (key), example_type (str), example_count (int)."""
    return frame(
        session,
        """
        SELECT agents.key AS agent, example_type, count(*) AS example_count
        FROM learning_examples JOIN agents ON agents.id = agent_id
        WHERE status = 'pending'
        GROUP BY agents.key, example_type
        ORDER BY example_count DESC, agents.key, example_type
        """,
    )
