"""Fifty experts at one queue: is each example judged as often as it should be, and how long takes a claim?

First they drain it: each claims three and judges them, one in five examples is for two people, one judgement
in twenty rejects what the others approve. Part of them is killed with all they hold, and others come in their
place. The terms of what the dead hold are ended in the database a second after their death; nobody waits
half an hour for it.

Proved: every example is settled as the majority decided, by exactly as many judgements as it takes, no two of
one person; every acknowledged judgement is there; nothing is held afterwards. Measured: claims against a
plain SELECT of one pending row (see `claiming`).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from benchmarks import claiming, figures, ground, reviewers
from benchmarks.figures import Finding
from benchmarks.ground import Options
from benchmarks.reviewers import Orders, Tally
from benchmarks.writers import AGENT, execution_key
from learning_core import db
from learning_core.db import organization_session
from learning_core.feedback.collect import collect
from learning_core.feedback.entries import FeedbackEntry, FeedbackType, IssueCategory
from learning_core.review import priority
from learning_core.schema import Role
from learning_core.settings import settings

REVIEWERS, KILLED = 50, 5
OVERLAP_SHARE = 0.2
BATCH = 1_000
PATIENCE_S = 300.0
DEAD_FOR_S = 1.0


class Size(NamedTuple):
    """How many examples, and how long and how often claims are measured."""

    examples: int
    claims: claiming.Size


FULL = Size(5_000, claiming.FULL)
QUICK = Size(400, claiming.QUICK)


def run(options: Options) -> list[Finding]:
    """Drain one queue, then measure claims from others."""
    size = QUICK if options.quick else FULL
    db.migrate()
    return [*drain(size.examples), *claiming.compare(fill("Claims", size.examples), size.claims)]


def fill(name: str, count: int) -> UUID:
    """Create an organisation whose agent was corrected so many times."""
    organization = ground.new_organization(name)
    ground.report_executions(organization, count=count)
    issues = list(IssueCategory)
    entries = [
        FeedbackEntry(
            id=f"correction-{number}",
            execution_id=execution_key(AGENT, number),
            agent_id=AGENT,
            feedback_type=FeedbackType.CORRECTION,
            user_id=f"user-{number % 97}",
            rating=1 + number % 3,
            issue_categories=(issues[number % len(issues)],),
            correction_text="On the last day of the month that follows the quarter." * 4,
        )
        for number in range(count)
    ]
    for begin in range(0, count, BATCH):
        with organization_session(organization) as session:
            collect(session, entries[begin : begin + BATCH], "import")
    with organization_session(organization) as session:
        assert priority.rank_new(session, count) == count
    return organization


# ---------------------------------------------------------------- draining


def drain(examples: int) -> list[Finding]:
    """Let reviewers judge all that waits, kill some in the middle, and look at what is there."""
    organization = fill("Drain", examples)
    names = [f"reviewer-{number:02d}" for number in range(REVIEWERS + KILLED)]
    keys = ground.new_keys(organization, names, Role.EXPERT)
    home = settings().home
    with ground.api_server(AFTERGLOW_REVIEW_OVERLAP_SHARE=str(OVERLAP_SHARE)) as (_, port):
        everybody = Orders(port, names, keys, reviewers.DRAIN, over=str(home / "over"))
        parts = [
            replace(everybody, names=names[part], keys=keys[part], notes=str(home / f"{who}.txt"))
            for who, part in (
                ("killed", slice(KILLED)),
                ("staying", slice(KILLED, REVIEWERS)),
                ("late", slice(REVIEWERS, None)),
            )
        ]
        begun = time.perf_counter()
        tallies, held_by_dead = kill_some(organization, examples, parts)
        seconds = time.perf_counter() - begun
    acknowledged = {line for part in parts for line in Path(part.notes).read_text().splitlines()}
    show(organization, tallies, seconds)
    return [
        *waits(tallies),
        figures.proof("review: killed holding nothing", 0 if held_by_dead else 1),
        figures.proof("review: requests refused", sum(sum(tally.refused.values()) for tally in tallies)),
        *what_is_there(organization, examples),
        *what_was_acknowledged(organization, acknowledged, parts[0].names),
    ]


def kill_some(organization: UUID, examples: int, parts: Sequence[Orders]) -> tuple[list[Tally], int]:
    """Kill the first part of the reviewers in the middle and let the last come in their place.

    Returns:
        What the others counted, and how many leases the dead had.
    """
    doomed, staying, late = parts
    with reviewers.crowd(doomed) as victims, reviewers.crowd(staying) as stayers:
        wait_until(organization, "settled", examples // 4)
        victims.kill()
        time.sleep(DEAD_FOR_S)  # their last requests are answered, to nobody
        held_by_dead = end_terms(organization, doomed.names)
        with reviewers.crowd(late) as newcomers:
            wait_until(organization, "settled", examples)
            wait_until(organization, "free", examples)
            Path(staying.over).touch()
            return [reviewers.tally_of(crowd) for crowd in (stayers, newcomers)], held_by_dead


def wait_until(organization: UUID, count: str, reached: int) -> None:
    """Wait until so many examples are settled, or free; give up when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with organization_session(organization) as session:
            if getattr(session.execute(PROGRESS).one(), count) >= reached:
                return
        time.sleep(0.25)
    print(f"Not {reached:,} {count} within {PATIENCE_S:.0f} s.")


def end_terms(organization: UUID, names: Sequence[str]) -> int:
    """Let the leases of reviewers be over now; return how many there were."""
    with organization_session(organization) as session:
        ended = session.execute(END_TERMS, {"names": [f"key {name}" for name in names]})
        return len(ended.all())


def waits(tallies: Sequence[Tally]) -> list[Finding]:
    """Say how long the answers took while everybody was at work."""
    found = []
    for request, words in (("claim", "claim of 3"), ("judge", "judgement")):
        waited_ms = [1000 * wait for tally in tallies for wait in tally.waits_s.get(request, [])]
        found += [
            figures.absolute(f"review: {words}, {name}", [figures.percentile(waited_ms, share)], unit="ms")
            for name, share in (("p50", 0.50), ("p95", 0.95))
        ]
    return found


def what_is_there(organization: UUID, examples: int) -> list[Finding]:
    """Count in the database what should not be."""
    with organization_session(organization) as session:
        wrong = session.execute(WRONG).one()
    return [
        figures.proof("review: examples lost", abs(examples - wrong.examples)),
        figures.proof("review: not settled", wrong.unsettled),
        figures.proof("review: settled against the majority", wrong.against_majority),
        figures.proof("review: judged too often or not often enough", wrong.number),
        figures.proof("review: judged twice by one person", wrong.twice),
        figures.proof("review: still held", wrong.held),
        figures.proof("review: leases left", wrong.leases),
    ]


def what_was_acknowledged(organization: UUID, acknowledged: Set[str], killed: Sequence[str]) -> list[Finding]:
    """Compare the judgements there with those acknowledged; one of each killed may lack its answer."""
    with organization_session(organization) as session:
        there = {f"{row.annotator.removeprefix('key ')}\t{row.example_id}" for row in session.execute(JUDGED)}
    unanswered = Counter(line.split("\t")[0] for line in there - acknowledged)
    unexplained = sum(number - (name in killed) for name, number in unanswered.items())
    return [
        figures.proof("review: acknowledged but not there", len(acknowledged - there)),
        figures.proof("review: there but never acknowledged, beyond one per killed", unexplained),
    ]


def show(organization: UUID, tallies: Sequence[Tally], seconds: float) -> None:
    """Print what happened."""
    with organization_session(organization) as session:
        facts = session.execute(FACTS).one()
    print(
        f"{facts.examples:,} examples settled by {facts.judgements:,} judgements in {seconds:.0f} s"
        f" ({facts.judgements / seconds:,.0f} /s): {facts.approved:,} approved, {facts.rejected:,} rejected;"
        f" {facts.by_one:,} by one person, {facts.by_two:,} by two, {facts.by_three:,} by three, who differed"
    )
    print(f"answers: {[tally.statuses for tally in tallies]}", flush=True)


PROGRESS = text("""
SELECT count(*) FILTER (WHERE status IN ('approved', 'rejected')) AS settled,
       count(*) FILTER (WHERE held = 0) AS free
FROM learning_examples
""")

END_TERMS = text("""
UPDATE review_leases SET leased_until = now() - interval '1 second'
WHERE reviewer = ANY (:names) AND leased_until IS NOT NULL
RETURNING example_id
""")

JUDGEMENTS = """
judgements AS (
    SELECT example_id, count(*) AS given, count(DISTINCT annotator) AS people,
           count(*) FILTER (WHERE decision = 'approve') AS approvals,
           count(DISTINCT decision) FILTER (WHERE place <= 2) AS opinions_of_two
    FROM (
        SELECT example_id, annotator, decision,
               row_number() OVER (PARTITION BY example_id ORDER BY created_at, id) AS place
        FROM expert_annotations
    ) AS ordered
    GROUP BY example_id
)
"""

WRONG = text(f"""
WITH {JUDGEMENTS}
SELECT count(*) AS examples,
       count(*) FILTER (WHERE status NOT IN ('approved', 'rejected')) AS unsettled,
       count(*) FILTER (
           WHERE status IS DISTINCT FROM CASE WHEN approvals * 2 > given THEN 'approved' ELSE 'rejected' END
       ) AS against_majority,
       count(*) FILTER (
           WHERE coalesce(given, 0) <> CASE WHEN overlap = 1 THEN 1 WHEN opinions_of_two = 1 THEN 2 ELSE 3 END
              OR reviews_done <> coalesce(given, 0) OR reviews_wanted <> reviews_done
       ) AS number,
       count(*) FILTER (WHERE people < given) AS twice,
       count(*) FILTER (WHERE held <> 0) AS held,
       (SELECT count(*) FROM review_leases) AS leases
FROM learning_examples AS example LEFT JOIN judgements ON example_id = example.id
""")

FACTS = text(f"""
WITH {JUDGEMENTS}
SELECT count(*) AS examples, CAST(coalesce(sum(given), 0) AS int8) AS judgements,
       count(*) FILTER (WHERE status = 'approved') AS approved,
       count(*) FILTER (WHERE status = 'rejected') AS rejected,
       count(*) FILTER (WHERE given = 1) AS by_one, count(*) FILTER (WHERE given = 2) AS by_two,
       count(*) FILTER (WHERE given = 3) AS by_three
FROM learning_examples AS example LEFT JOIN judgements ON example_id = example.id
""")

JUDGED = text("SELECT annotator, example_id FROM expert_annotations")
