"""Who is asking, what they may do, and the record of what they did."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from learning_core.db import enter, frame
from learning_core.errors import Conflict, InvalidInput, NotFound, NotPermitted, NotSignedIn
from learning_core.schema import ApiKey, AuditEntry, Organization, Role

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Caller:
    """Who is asking: a member on a page, an agent with a key, an operator at the command line."""

    organization_id: UUID
    name: str
    role: Role


RIGHTS: dict[str, frozenset[Role]] = {
    "read": frozenset(Role),
    "report": frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN}),
    "review": frozenset({Role.EXPERT, Role.ADMIN}),
    "curate": frozenset({Role.EXPERT, Role.ENGINEER, Role.ADMIN}),
    "optimize": frozenset({Role.ENGINEER, Role.ADMIN}),
    "experiment": frozenset({Role.ENGINEER, Role.ADMIN}),
    "release": frozenset({Role.ENGINEER, Role.ADMIN}),
    "administer": frozenset({Role.ADMIN}),
}
"""Right -> the roles that have it. Reporting means sending executions and feedback, reviewing means judging
examples, curating means freezing datasets, optimizing means spending on models and
making prompt versions; experimenting and releasing decide which prompt users meet."""


def require(caller: Caller, right: str) -> None:
    """Refuse a caller whose role lacks a right.

    Raises:
        NotPermitted: naming the caller's role and the roles that would do.
    """
    if caller.role not in RIGHTS[right]:
        able = ", ".join(sorted(RIGHTS[right]))
        raise NotPermitted(f"The role {caller.role} may not {right} here; it takes one of: {able}.")


def act_as(session: Session, caller: Caller, right: str) -> None:
    """Refuse a caller who lacks a right, and tell the database's own policies in which role they act.

    Raises:
        NotPermitted: naming the caller's role and the roles that would do.
    """
    require(caller, right)
    session.execute(text("SELECT set_config('app.role', :role, true)"), {"role": caller.role})


def audit(session: Session, caller: Caller, action: str, subject: str, **details: Any) -> None:
    """Append to the audit log what the caller did to what; it commits or vanishes with the deed itself."""
    session.add(AuditEntry(actor=caller.name, action=action, subject=subject, details=details))


# ---------------------------------------------------------------- organisations and members


def organizations(session: Session) -> list[Organization]:
    """Return the organisations that were not removed, by name."""
    known = select(Organization).where(Organization.removed_at.is_(None))
    found = session.scalars(known.order_by(Organization.simulated, Organization.name)).all()
    session.expunge_all()
    return list(found)


def find_organization(session: Session, slug: str) -> Organization:
    """Return the organisation of that short name.

    Raises:
        NotFound: naming those that exist.
    """
    known = {organization.slug: organization for organization in organizations(session)}
    if slug not in known:
        raise NotFound(f"There is no organisation {slug!r}; there are: {', '.join(known) or 'none yet'}.")
    return known[slug]


def create_organization(
    session: Session, name: str, *, by: str = "setup", simulated: bool = False
) -> Organization:
    """Create an empty organisation and make the transaction its own; its short name follows from its name.

    Raises:
        InvalidInput: the name holds no letter or digit.
        Conflict: there is one of that name already.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60]
    if not slug:
        raise InvalidInput("A name needs at least one letter or digit.", field="name")
    organization = Organization(slug=slug, name=name.strip()[:120], simulated=simulated)
    session.add(organization)
    try:
        session.flush()
    except IntegrityError as error:
        raise Conflict(f"There is an organisation {slug!r} already.") from error
    session.refresh(organization)
    session.expunge(organization)
    enter(session, organization.id)
    audit(session, Caller(organization.id, by, Role.ADMIN), "organization.created", organization.name)
    return organization


REMOVED_WITH_ORGANIZATION = (
    "model_calls",
    "scores",
    "candidates",
    "dataset_proposals",
    "dataset_uses",
    "dataset_examples",
    "review_leases",
    "expert_annotations",
    "learning_examples",
    "agent_feedback",
    "feedback_daily",
    "executions_daily",
    "executions",
    "exposures",
    "allocation_phases",
    "allocation_variants",
    "allocations",
    "release_impacts",
    "release_events",
    "releases",
    "experiment_looks",
    "learning_experiments",
    "training_runs",
    "training_datasets",
    "prompt_analyses",
    "correction_rules",
    "evaluators",
    "prompt_labels",
    "prompt_versions",
    "model_assignments",
    "language_models",
    "agents",
    "api_keys",
    "signing_keys",
    "members",
)
"""Tables of an organisation, those that refer to others first."""


def remove_organization(session: Session, caller: Caller) -> None:
    """Delete the caller's organisation with all it holds; its name and its audit log stay."""
    require(caller, "administer")
    session.execute(
        text("UPDATE organizations SET removed_at = now() WHERE id = :id"), {"id": caller.organization_id}
    )
    removed = {
        table: session.execute(text(f"DELETE FROM {table}")).rowcount  # type: ignore[attr-defined]  # noqa: S608
        for table in REMOVED_WITH_ORGANIZATION
    }
    audit(session, caller, "organization.removed", str(caller.organization_id), rows=removed)


def save_member(session: Session, caller: Caller, email: str, name: str, role: Role) -> None:
    """Add a member, or change the name and role of the one with that address."""
    require(caller, "administer")
    email = email.strip().lower()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", email) or len(email) > 200:
        raise InvalidInput(f"{email!r} is not an e-mail address.", field="email")
    session.execute(
        text("""
            INSERT INTO members (email, name, role) VALUES (:email, :name, :role)
            ON CONFLICT (organization_id, email) DO UPDATE SET name = excluded.name, role = excluded.role
        """),
        {"email": email, "name": name.strip()[:120] or email, "role": role},
    )
    audit(session, caller, "member.saved", email, role=role)


def remove_member(session: Session, caller: Caller, email: str) -> None:
    """Remove a member; what they did stays in the audit log."""
    require(caller, "administer")
    if not session.execute(
        text("DELETE FROM members WHERE email = :email RETURNING id"), {"email": email}
    ).all():
        raise NotFound(f"There is no member {email}.")
    audit(session, caller, "member.removed", email)


def members(session: Session) -> pd.DataFrame:
    """Return the members: email, name, role (str), created_at (UTC); by name."""
    return frame(session, "SELECT email, name, role, created_at FROM members ORDER BY name, email")


def audit_log(session: Session, limit: int = 500) -> pd.DataFrame:
    """Return the latest entries: at (UTC), actor, action, subject, details (JSON) as str; newest first."""
    return frame(
        session,
        """
        SELECT at, actor, action, subject, CAST(details AS text) AS details
        FROM audit_log ORDER BY at DESC, id DESC LIMIT :limit
        """,
        limit=limit,
    )


# ---------------------------------------------------------------- API keys

KEY_PATTERN = re.compile(r"afg_([0-9a-f]{32})_([A-Za-z0-9_-]{43})")
KEY_HEAD = len("afg_") + 32 + len("_")


def create_key(
    session: Session, caller: Caller, name: str, role: Role, *, days_valid: int | None = None
) -> str:
    """Create an API key and return it; it is shown this once, only its hash is stored.

    The key names its organisation, so that it can be looked up under that organisation's policy.
    """
    require(caller, "administer")
    name = name.strip()
    if not name or len(name) > 120:
        raise InvalidInput("A key needs a name of 1 to 120 characters.", field="name")
    if days_valid is not None and days_valid < 1:
        raise InvalidInput("A key must be valid for at least one day.", field="days_valid")
    secret = secrets.token_urlsafe(32)
    session.add(
        ApiKey(
            name=name,
            prefix=f"afg_…_{secret[:6]}",
            secret_hash=_hash(secret),
            role=role,
            created_by=caller.name,
            expires_at=datetime.now(UTC) + timedelta(days=days_valid) if days_valid else None,
        )
    )
    audit(session, caller, "key.created", name, role=role, prefix=secret[:6])
    return f"afg_{caller.organization_id.hex}_{secret}"


def revoke_key(session: Session, caller: Caller, prefix: str) -> None:
    """Revoke the API key of that shown prefix (or of that name).

    Raises:
        NotFound: there is none in force.
    """
    require(caller, "administer")
    row = session.execute(
        text("""
            UPDATE api_keys SET revoked_at = now()
            WHERE (prefix = :prefix OR name = :prefix) AND revoked_at IS NULL RETURNING name, prefix
        """),
        {"prefix": prefix},
    ).all()
    if not row:
        raise NotFound(f"There is no key {prefix!r} in force.")
    for revoked in row:
        audit(session, caller, "key.revoked", revoked.name, prefix=revoked.prefix)


def keys(session: Session) -> pd.DataFrame:
    """Return the API keys: name, prefix, role, state (active, expired, revoked), created_by (str),
    created_at, expires_at (UTC); newest first.
    """
    return frame(
        session,
        """
        SELECT name, prefix, role,
               CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
                    WHEN expires_at < now() THEN 'expired' ELSE 'active' END AS state,
               created_by, created_at, expires_at
        FROM api_keys ORDER BY created_at DESC
        """,
    )


def organization_of_key(key: str) -> UUID:
    """Return the organisation that a key names, before anything proves that the key is good.

    Raises:
        NotSignedIn: it is not shaped like a key.
    """
    match = KEY_PATTERN.fullmatch(key)
    if match is None:
        raise NotSignedIn("This is not an Afterglow API key; it should start with afg_.")
    return UUID(match.group(1))


def verify_key(session: Session, key: str) -> Caller:
    """Return the caller that a key stands for, within its organisation's session.

    Raises:
        NotSignedIn: it is unknown, expired or revoked.
    """
    organization_id = organization_of_key(key)
    row = session.execute(
        text("""
            SELECT name, role FROM api_keys
            WHERE secret_hash = :hash AND revoked_at IS NULL
              AND (expires_at IS NULL OR expires_at > now())
        """),
        {"hash": _hash(key[KEY_HEAD:])},
    ).one_or_none()
    if row is None:
        raise NotSignedIn("This API key is unknown, expired or revoked.")
    return Caller(organization_id, f"key {row.name}", Role(row.role))


def signing_secret(session: Session) -> bytes:
    """Return the secret that signs the organisation's widget tokens, made at first need."""
    session.execute(
        text("INSERT INTO signing_keys (secret) VALUES (:secret) ON CONFLICT (organization_id) DO NOTHING"),
        {"secret": secrets.token_bytes(32)},
    )
    secret: bytes = session.execute(text("SELECT secret FROM signing_keys")).scalar_one()
    return secret


def existing_signing_secret(session: Session) -> bytes | None:
    """Return the secret that signs the organisation's widget tokens, None where none was ever made."""
    secret: bytes | None = session.execute(text("SELECT secret FROM signing_keys")).scalar()
    return secret


def _hash(secret: str) -> bytes:
    """Hash a secret of 256 random bits; a slow hash would guard nothing more."""
    return hashlib.sha256(secret.encode()).digest()
