"""Commands that make, list and revoke API keys: what lets an agent in."""

from __future__ import annotations

from typing import Annotated

import typer

from learning_core import access, db
from learning_core.cli.operators import OrganizationOption, find_organization, operator
from learning_core.schema import Role

app = typer.Typer(help="API keys: what lets an agent in.", no_args_is_help=True)


@app.command("create")
def create_key(
    organization: OrganizationOption,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.ENGINEER,
    days: Annotated[int | None, typer.Option(help="Days until it expires; without, it does not.")] = None,
) -> None:
    """Create an API key and print it alone on the last line; it is shown this once."""
    found = find_organization(organization)
    with db.organization_session(found.id) as session:
        key = access.create_key(session, operator(found), name, role, days_valid=days)
    typer.echo(f"Key {name!r} for {found.name}, role {role}. Keep it safe, it is not shown again:", err=True)
    typer.echo(key)


@app.command("list")
def list_keys(organization: OrganizationOption) -> None:
    """List the API keys of an organisation."""
    found = find_organization(organization)
    with db.reading_session(found.id) as session:
        known = access.keys(session)
    typer.echo(known.to_string(index=False) if len(known) else "There are no keys yet.")


@app.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(help="The key's shown prefix, or its name.")],
    organization: OrganizationOption,
) -> None:
    """Revoke an API key."""
    found = find_organization(organization)
    with db.organization_session(found.id) as session:
        access.revoke_key(session, operator(found), key)
    typer.echo(f"Revoked {key}; servers that remember it forget it within seconds.")
