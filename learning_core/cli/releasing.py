"""Commands that show where releases stand, approve them, send them on, and take them back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from learning_core import db
from learning_core.access import Caller
from learning_core.cli.operators import OrganizationOption, find_organization, operator
from learning_core.errors import Conflict

if TYPE_CHECKING:
    from learning_core.releases.queries import Found

Verb = Callable[[Session, Caller, UUID, datetime], None]

Agent = Annotated[str, typer.Option(help="The agent's own key.")]
Reason = Annotated[str, typer.Option(help="Why; it stays on record.")]


def releases(
    organization: OrganizationOption,
    agent: Annotated[str | None, typer.Option(help="Of this agent only.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 20,
) -> None:
    """Show releases, the newest first, and what the one on its way waits for."""
    from learning_core.releases import queries  # brings numpy, which the other commands do without

    with db.reading_session(find_organization(organization).id) as session:
        found = queries.releases(session, agent, limit)
    if not found:
        typer.echo("Nothing was released yet.")
        return
    for one in found:
        typer.echo(_line(one))
    for one in found:
        if not one.status.is_over:
            _tell(one)


def approve(agent: Agent, organization: OrganizationOption, reason: Reason) -> None:
    """Approve the release that is on its way."""
    from learning_core.releases import rollout

    def verb(session: Session, caller: Caller, release_id: UUID, at: datetime) -> None:
        rollout.approve(session, caller, release_id, reason, at)

    found = _do(agent, organization, verb)
    typer.echo(f"Approved release {found.number} of {agent}, {found.version}.")


def promote(agent: Agent, organization: OrganizationOption, reason: Reason) -> None:
    """Send the release on its way to its next stage at once, whatever is shown by then."""
    from learning_core.releases import rollout

    def verb(session: Session, caller: Caller, release_id: UUID, at: datetime) -> None:
        rollout.promote(session, caller, release_id, reason, at)

    found = _do(agent, organization, verb)
    typer.echo(f"Release {found.number} of {agent}, {found.version}, is at {100 * found.share:g} % now.")


def roll_back(
    agent: Agent, organization: OrganizationOption, reason: Reason = "At the command line."
) -> None:
    """Take the newest release back: all users get the version before, from their next request on."""
    from learning_core.releases import rollout

    def verb(session: Session, caller: Caller, release_id: UUID, at: datetime) -> None:
        rollout.roll_back(session, caller, release_id, reason, at)

    found = _do(agent, organization, verb)
    typer.echo(f"Took back release {found.number} of {agent}: users get {found.previous_version} again.")


def _do(agent: str, organization: str, verb: Verb) -> Found:
    """Do something with the newest release of an agent that users meet or wait for."""
    from learning_core.releases import queries

    caller = operator(find_organization(organization))

    def work(session: Session) -> Found:
        known = [one for one in queries.releases(session, agent) if not one.is_standing_in]
        on_the_way = next((one for one in known if not one.status.is_over), None)
        newest = on_the_way or next((one for one in known if one.share == 1), None)
        if newest is None:
            raise Conflict(f"No release of {agent!r} is on its way or in production.")
        verb(session, caller, newest.id, datetime.now(UTC))
        return queries.find(session, newest.id)

    return db.in_transaction(caller.organization_id, work)


def _line(one: Found) -> str:
    before = f" after {one.previous_version}" if one.previous_version else ""
    state = f"{one.status.replace('_', ' ')}, {100 * one.share:g} % of the users"
    return (
        f"{one.agent}  release {one.number}  {one.version}{before}  {state}"
        f"  {one.created_at:%Y-%m-%d %H:%M} by {one.created_by}"
    )


def _tell(one: Found) -> None:
    said = one.hold_reason or (one.check.decision.reason if one.check and one.check.decision else "")
    typer.echo(f"\nRelease {one.number} of {one.agent}: {said or 'it has just begun.'}")
    for item in one.check.report.items if one.check else ():
        typer.echo(f"  {item.state.replace('_', ' '):9} {item.reason}")
