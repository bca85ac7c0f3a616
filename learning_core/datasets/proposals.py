"""The weekly look at every dataset: is there enough new to freeze a next version? A person decides."""

from __future__ import annotations

from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.orm import Session

from learning_core import access
from learning_core.access import Caller
from learning_core.datasets.curation import Rules
from learning_core.datasets.selection import FITS, parameters
from learning_core.datasets.versions import Version, freeze
from learning_core.errors import Conflict, NotFound

ENOUGH_NEW = 0.05
"""Share (0-1) of a version's examples that have to be new to propose the next one."""

FEWEST_NEW = 5


def propose(session: Session) -> int:
    """Propose the next version of each dataset that has enough new examples; return how many."""
    proposed = 0
    for last in session.execute(NEWEST).all():
        rules = Rules.model_validate(last.rules)
        counts = session.execute(COUNT_NEW, parameters(rules) | {"dataset": last.id}).one()
        if counts.added >= max(FEWEST_NEW, ENOUGH_NEW * last.example_count):
            summary = {"after": last.version, "added": counts.added, "total": counts.total}
            session.execute(
                PROPOSE,
                {
                    "name": last.name,
                    "rules": rules.model_dump_json(),
                    "summary": to_json(summary).decode(),
                },
            )
            proposed += 1
    return proposed


def accept(session: Session, caller: Caller, proposal_id: UUID) -> Version:
    """Freeze the version that was proposed, with what fits its rules now.

    Raises:
        NotFound: the proposal was decided meanwhile.
    """
    row = session.execute(OPEN_PROPOSAL, {"id": proposal_id}).one_or_none()
    if row is None:
        raise NotFound("This proposal was decided in the meantime.")
    return freeze(session, caller, row.name, Rules.model_validate(row.rules))


def dismiss(session: Session, caller: Caller, proposal_id: UUID) -> None:
    """Decide against a proposal; the next weekly look may make another.

    Raises:
        Conflict: it was decided meanwhile.
    """
    access.require(caller, "curate")
    dismissed = session.execute(DISMISS, {"id": proposal_id, "by": caller.name}).one_or_none()
    if dismissed is None:
        raise Conflict("This proposal was decided in the meantime.")
    access.audit(session, caller, "proposal.dismissed", dismissed.name)


NEWEST = text("""
SELECT DISTINCT ON (name) id, name, version, rules, example_count FROM training_datasets
ORDER BY name, version DESC
""")

COUNT_NEW = text(f"""
SELECT count(*) AS total,
       count(*) FILTER (WHERE NOT EXISTS (
           SELECT FROM dataset_examples WHERE dataset_id = :dataset AND example_id = example.id
       )) AS added
FROM learning_examples AS example JOIN agents ON agents.id = agent_id
WHERE {FITS}
""")  # noqa: S608 - made of constants

PROPOSE = text("""
INSERT INTO dataset_proposals (name, rules, summary)
VALUES (:name, CAST(:rules AS jsonb), CAST(:summary AS jsonb))
ON CONFLICT (organization_id, name) WHERE decided_at IS NULL
DO UPDATE SET rules = excluded.rules, summary = excluded.summary, proposed_at = now()
""")

OPEN_PROPOSAL = text("""
SELECT name, rules FROM dataset_proposals WHERE id = :id AND decided_at IS NULL FOR UPDATE
""")

DISMISS = text("""
UPDATE dataset_proposals SET decided_at = now(), decided_by = :by
WHERE id = :id AND decided_at IS NULL
RETURNING name
""")
