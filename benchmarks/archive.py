"""An archive of feedback: twenty agents over ninety-one days, as many rows as asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from math import ceil
from uuid import UUID

from sqlalchemy import text

from benchmarks import ground
from learning_core.db import organization_session, reading_session
from learning_core.feedback import rollup

AGENTS = [f"agent-{number:02d}" for number in range(1, 21)]
BUSIEST = AGENTS[0]
DAYS = 91
EXECUTIONS_PER_AGENT = 1_000


def fill(organization: UUID, rows: int, today: date) -> None:
    """Store rows for every agent (the n-th has 1/n as many as the first) and day, and derive the roll-ups."""
    for agent in AGENTS:
        ground.report_executions(organization, agent, EXECUTIONS_PER_AGENT)
    weight = sum(1 / rank for rank in range(1, len(AGENTS) + 1))
    with ThreadPoolExecutor(2) as pool:
        filled = [
            pool.submit(fill_agent, organization, agent, ceil(rows / rank / weight / DAYS), today)
            for rank, agent in enumerate(AGENTS, start=1)
        ]
        for agent in filled:
            agent.result()
    with organization_session(organization) as session:
        rollup.mend(session, rollup.FEEDBACK)
    ground.maintain("VACUUM ANALYZE")


def fill_agent(organization: UUID, agent: str, per_day: int, today: date) -> None:
    """Store rows of one agent, as many on each day, some days in one statement."""
    agent_is = agent_id(organization, agent)
    days_at_once = max(1, ROWS_AT_ONCE // per_day)
    for begin in range(0, DAYS, days_at_once):
        with organization_session(organization) as session:
            session.execute(
                FILL,
                {
                    "agent": agent_is,
                    "name": agent,
                    "first": today - timedelta(days=DAYS - 1),
                    "per_day": per_day,
                    "begin": begin,
                    "end": min(DAYS, begin + days_at_once),
                    "days": DAYS,
                },
            )


ROWS_AT_ONCE = 50_000

FILL = text("""
WITH drawn AS MATERIALIZED (
    SELECT n, n / :per_day AS day, random() AS kind, random() AS stars, random() AS issue,
           random() AS words, random() AS second
    FROM generate_series(CAST(:begin AS int) * :per_day, CAST(:end AS int) * :per_day - 1) AS n
),
reacted AS (
    SELECT *, CASE WHEN kind < 0.45 THEN 'thumbs_up' WHEN kind < 0.60 THEN 'thumbs_down'
                   WHEN kind < 0.80 THEN 'star_rating' WHEN kind < 0.90 THEN 'detailed_feedback'
                   WHEN kind < 0.95 THEN 'correction' ELSE 'report_issue' END AS feedback_type,
           (ARRAY['incorrect', 'incomplete', 'unclear', 'hallucination', 'outdated', 'formatting', 'tone',
                  'other'])[1 + CAST(floor(8 * issue * issue) AS int)] AS category
    FROM drawn
),
answered AS (
    SELECT id, row_number() OVER (ORDER BY key) - 1 AS place FROM executions WHERE agent_id = :agent
)
INSERT INTO agent_feedback (
    key, agent_id, execution_id, prompt_version, user_id, feedback_type, rating, accuracy, helpfulness,
    issue_categories, feedback_text, correction_text, source, created_at, withdrawn_at
)
SELECT CAST(:name AS text) || '-' || n, :agent, answered.id, 'v' || 1 + 3 * day / :days,
       'user-' || n % 5000, feedback_type,
       CASE WHEN kind BETWEEN 0.60 AND 0.90 THEN 1 + CAST(floor(5 * sqrt(stars)) AS int) END,
       CASE WHEN kind BETWEEN 0.75 AND 0.90 THEN 1 + CAST(floor(5 * sqrt(second)) AS int) END,
       CASE WHEN kind BETWEEN 0.80 AND 0.90 THEN 1 + CAST(floor(5 * sqrt(words)) AS int) END,
       CASE WHEN feedback_type = 'report_issue' OR (kind BETWEEN 0.45 AND 0.90 AND words < 0.4)
            THEN CASE WHEN second < 0.2 AND category <> 'tone' THEN ARRAY[category, 'tone']
                      ELSE ARRAY[category] END
            ELSE '{}' END,
       CASE WHEN words < 0.2 THEN 'The answer named last year''s threshold, not the one in force.' END,
       CASE WHEN feedback_type = 'correction' THEN 'The threshold is 50,000 for the year.' END,
       'import', (CAST(:first AS date) + day + interval '1 day' * second) AT TIME ZONE 'UTC',
       CASE WHEN issue > 0.995 THEN now() END
FROM reacted JOIN answered ON answered.place = n % 1000
ORDER BY n
""")


def agent_id(organization: UUID, key: str) -> UUID:
    """Return an agent's id, so that the planner of the scan knows which agent it is about."""
    with reading_session(organization) as session:
        found: UUID = session.execute(AGENT_ID, {"key": key}).scalar_one()
        return found


AGENT_ID = text("SELECT id FROM agents WHERE key = :key")
