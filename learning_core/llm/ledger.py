"""The book of model calls: what is stored already, what may still be spent, what a call came to.

A call is entered before it is made, with the most it can cost, and only where the run's caps have room for
that. What it really cost replaces this once it is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.orm import Session

from learning_core.llm.requests import Answer, Request
from learning_core.schema import CallStatus


class Spend(NamedTuple):
    """An amount of money (US dollars), tokens and calls."""

    usd: Decimal
    tokens: int
    calls: int


NOTHING = Spend(Decimal(0), 0, 0)


def most(requests: Iterable[Request]) -> Spend:
    """Return what these requests can cost at most."""
    asked = list(requests)
    usd = sum((request.most_usd for request in asked), Decimal(0))
    return Spend(usd, sum(request.most_tokens for request in asked), len(asked))


@dataclass(frozen=True)
class Outcome:
    """What became of one call.

    Attributes:
        id: The call.
        answer: text or embedding, finish_reason, and `estimated` where the tokens were not reported.
        attempts: How often it was sent.
    """

    id: UUID
    status: CallStatus
    answer: dict[str, Any] | None = None
    error: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    latency_ms: float = 0.0
    attempts: int = 0

    def told(self) -> dict[str, Any]:
        """Return the JSON form that a courier tells its worker."""
        return {**vars(self), "id": str(self.id), "cost_usd": str(self.cost_usd)}

    @classmethod
    def read(cls, told: dict[str, Any]) -> Outcome:
        """Return the outcome that its JSON form stands for."""
        exact = {
            "id": UUID(told["id"]),
            "status": CallStatus(told["status"]),
            "cost_usd": Decimal(told["cost_usd"]),
        }
        return cls(**told | exact)


def as_answer(call: Outcome | Row[Any], *, reused: bool) -> Answer:
    """Return the answer that a call came to."""
    answer = call.answer or {}
    embedding = answer.get("embedding")
    return Answer(
        call_id=call.id,
        text=answer.get("text", "") if call.error is None else "",
        prompt_tokens=call.prompt_tokens,
        completion_tokens=call.completion_tokens,
        cost_usd=call.cost_usd,
        latency_ms=call.latency_ms,
        embedding=tuple(embedding) if embedding else None,
        error=call.error,
        reused=reused,
    )


# ---------------------------------------------------------------- what is stored


def look_up(session: Session, hashes: Sequence[str]) -> dict[str, Row[Any]]:
    """Return the calls of these hashes that are answered or on their way, by hash."""
    rows = session.execute(LOOK_UP, {"hashes": list(hashes)}).all()
    return {row.content_hash: row for row in rows}


LOOK_UP = text("""
    SELECT call.id, call.content_hash, call.run_id, call.status, call.courier, call.answer, call.error,
           call.prompt_tokens, call.completion_tokens, call.cost_usd, call.latency_ms,
           call.created_at < now() - interval '10 seconds' AS is_old
    FROM unnest(CAST(:hashes AS text[])) AS wanted (hash)
    JOIN model_calls AS call ON call.content_hash = wanted.hash AND call.status IN ('reserved', 'answered')
""")


def on_their_way(session: Session, run_id: UUID) -> Sequence[Row[Any]]:
    """Return a run's calls that nobody has settled yet: id, run_id, courier, is_old."""
    return session.execute(ON_THEIR_WAY, {"run": run_id}).all()


ON_THEIR_WAY = text("""
    SELECT id, run_id, courier, created_at < now() - interval '10 seconds' AS is_old
    FROM model_calls WHERE run_id = :run AND status = 'reserved'
""")

# ---------------------------------------------------------------- what may be spent


def _entry(content_hash: str, request: Request) -> dict[str, Any]:
    return {
        "content_hash": content_hash,
        "role": request.role,
        "base_url": request.model.base_url,
        "model": request.model.model,
        "request": request.told(),
        "tokens": request.most_tokens,
        "usd": str(request.most_usd),
    }


class DoesNotFit(Exception):
    """A run's caps have no room for these calls; roll back what was entered."""


def reserve(
    session: Session,
    run_id: UUID | None,
    courier: int,
    wanted: Mapping[str, Request],
    leaving: Spend = NOTHING,
) -> dict[str, UUID]:
    """Enter calls, by hash, at the most they can cost; return the ids of those that were not there yet.

    Raises:
        DoesNotFit: the run's caps, less what is to be left, have no room for all of them.
    """
    calls = [_entry(content_hash, wanted[content_hash]) for content_hash in sorted(wanted)]
    left = {"usd_left": leaving.usd, "tokens_left": leaving.tokens, "calls_left": leaving.calls}
    parameters = {"calls": json.dumps(calls), "run": run_id, "courier": courier, **left}
    rows = session.execute(RESERVE, parameters).all()
    if run_id and any(not row.fits for row in rows):
        raise DoesNotFit
    return {row.content_hash: row.id for row in rows}


RESERVE = text("""
    WITH entry AS (
        SELECT * FROM jsonb_to_recordset(CAST(:calls AS jsonb)) AS entry (
            content_hash text, role text, base_url text, model text, request jsonb,
            tokens integer, usd numeric
        )
    ),
    reserved AS (
        INSERT INTO model_calls (
            content_hash, run_id, role, base_url, model, request, courier, reserved_tokens, reserved_usd
        )
        SELECT content_hash, CAST(:run AS uuid), role, base_url, model, request, :courier, tokens, usd
        FROM entry ORDER BY content_hash
        ON CONFLICT DO NOTHING
        RETURNING id, content_hash, reserved_tokens, reserved_usd
    ),
    asked AS (
        SELECT count(*) AS calls, sum(reserved_tokens) AS tokens, sum(reserved_usd) AS usd FROM reserved
    ),
    fitting AS (
        UPDATE training_runs AS run
        SET reserved_calls = run.reserved_calls + asked.calls,
            reserved_tokens = run.reserved_tokens + asked.tokens,
            reserved_usd = run.reserved_usd + asked.usd
        FROM asked
        WHERE run.id = CAST(:run AS uuid) AND asked.calls > 0
          AND (run.cap_calls IS NULL
               OR run.spent_calls + run.reserved_calls + asked.calls + :calls_left <= run.cap_calls)
          AND (run.cap_tokens IS NULL
               OR run.spent_tokens + run.reserved_tokens + asked.tokens + :tokens_left <= run.cap_tokens)
          AND (run.cap_usd IS NULL
               OR run.spent_usd + run.reserved_usd + asked.usd + :usd_left <= run.cap_usd)
        RETURNING run.id
    )
    SELECT id, content_hash, EXISTS (SELECT FROM fitting) AS fits FROM reserved
""")
"""Hashes are entered in their order and before the run's row is locked: no two of these wait in a circle."""


def room(session: Session, run_id: UUID) -> Row[Any]:
    """Return a run's caps, what it spent, and what is reserved: usd, tokens and calls of each."""
    return session.execute(ROOM, {"run": run_id}).one()


ROOM = text("""
    SELECT cap_usd, cap_tokens, cap_calls, spent_usd, spent_tokens, spent_calls,
           reserved_usd, reserved_tokens, reserved_calls
    FROM training_runs WHERE id = :run
""")


def shortage(found: Row[Any], asked: Spend, leaving: Spend) -> str | None:
    """Return in words which cap has no room for what is asked, None where it fits."""
    for name, unit in (("calls", "calls"), ("tokens", "tokens"), ("usd", "US dollars")):
        cap, spent = getattr(found, f"cap_{name}"), getattr(found, f"spent_{name}")
        used = spent + getattr(found, f"reserved_{name}")
        needed, kept = getattr(asked, name), getattr(leaving, name)
        if cap is not None and used + needed + kept > cap:
            words = f"Of {cap:,} {unit} that this run may spend, {used:,} are spent"
            words += f" and {kept:,} kept for later" if kept else ""
            return f"{words}; what comes next may take up to {needed:,}."
    return None


# ---------------------------------------------------------------- what it came to

SPENT = """
    total AS (
        SELECT count(*) AS calls,
               sum(reserved_tokens) AS reserved_tokens, sum(reserved_usd) AS reserved_usd,
               sum(tokens) AS tokens, sum(usd) AS usd
        FROM settled
    ),
    charged AS (
        UPDATE training_runs AS run
        SET reserved_calls = run.reserved_calls - total.calls,
            reserved_tokens = run.reserved_tokens - total.reserved_tokens,
            reserved_usd = run.reserved_usd - total.reserved_usd,
            spent_calls = run.spent_calls + total.calls,
            spent_tokens = run.spent_tokens + total.tokens,
            spent_usd = run.spent_usd + total.usd
        FROM total WHERE run.id = CAST(:run AS uuid) AND total.calls > 0
    )
    SELECT calls FROM total
"""
"""Turns what was reserved for the calls `settled` into what was spent on them."""


def settle(session: Session, run_id: UUID | None, outcomes: Sequence[Outcome]) -> None:
    """Write down what became of calls of one run; what was reserved for them becomes what they cost."""
    told = json.dumps([outcome.told() for outcome in outcomes])
    session.execute(SETTLE, {"outcomes": told, "run": run_id})


SETTLE = text(
    """
    WITH outcome AS (
        SELECT * FROM jsonb_to_recordset(CAST(:outcomes AS jsonb)) AS outcome (
            id uuid, status text, answer jsonb, error text, prompt_tokens integer, completion_tokens integer,
            cost_usd numeric, latency_ms double precision, attempts smallint
        )
    ),
    settled AS (
        UPDATE model_calls AS call
        SET status = outcome.status, answer = outcome.answer, error = outcome.error,
            prompt_tokens = outcome.prompt_tokens, completion_tokens = outcome.completion_tokens,
            cost_usd = outcome.cost_usd, latency_ms = outcome.latency_ms, attempts = outcome.attempts,
            finished_at = now()
        FROM outcome WHERE call.id = outcome.id AND call.status = 'reserved'
        RETURNING call.reserved_tokens, call.reserved_usd,
                  call.prompt_tokens + call.completion_tokens AS tokens, call.cost_usd AS usd
    ),
    """  # noqa: S608 - two literals
    + SPENT
)


def lose(session: Session, run_id: UUID | None, calls: Sequence[UUID]) -> int:
    """Give up those calls of one run whose courier has died, and count them at the most they could cost.

    A courier holds an advisory lock on its number for as long as it lives. Return how many were given up.
    """
    lost: int = session.execute(LOSE, {"calls": list(calls), "run": run_id}).scalar_one()
    return lost


LOSE = text(
    """
    WITH open AS MATERIALIZED (
        SELECT id, courier FROM model_calls WHERE id = ANY (CAST(:calls AS uuid[])) AND status = 'reserved'
    ),
    orphaned AS MATERIALIZED (SELECT id FROM open WHERE pg_try_advisory_xact_lock(courier)),
    settled AS (
        UPDATE model_calls AS call
        SET status = 'lost', error = 'Its courier died; nobody knows whether it was answered.',
            cost_usd = call.reserved_usd, finished_at = now()
        FROM orphaned WHERE call.id = orphaned.id AND call.status = 'reserved'
          AND call.run_id IS NOT DISTINCT FROM CAST(:run AS uuid)
        RETURNING call.reserved_tokens, call.reserved_usd, call.reserved_tokens AS tokens,
                  call.reserved_usd AS usd
    ),
    """  # noqa: S608 - two literals
    + SPENT
)


def release(session: Session, courier: int) -> None:
    """Give back what is reserved for calls that a courier, about to leave, was never handed."""
    session.execute(RELEASE, {"courier": courier})


RELEASE = text("""
    WITH unsent AS (
        UPDATE model_calls
        SET status = 'failed', error = 'It was never sent.', cost_usd = 0, finished_at = now()
        WHERE courier = :courier AND status = 'reserved'
        RETURNING run_id, reserved_tokens, reserved_usd
    ),
    total AS (
        SELECT run_id, count(*) AS calls, sum(reserved_tokens) AS tokens, sum(reserved_usd) AS usd
        FROM unsent GROUP BY run_id
    )
    UPDATE training_runs AS run
    SET reserved_calls = run.reserved_calls - total.calls,
        reserved_tokens = run.reserved_tokens - total.tokens,
        reserved_usd = run.reserved_usd - total.usd
    FROM total WHERE run.id = total.run_id
""")
