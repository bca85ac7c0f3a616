"""For whom a command works: the organisation it names, and the operator at its keyboard."""

from __future__ import annotations

from typing import Annotated

import typer

from learning_core import access, db
from learning_core.access import Caller
from learning_core.schema import Organization, Role

OrganizationOption = Annotated[str, typer.Option(help="Short name of the organisation.")]


def find_organization(slug: str) -> Organization:
    """Return the organisation of a short name, on a database of the newest version.

    Raises:
        NotFound: naming those that exist.
    """
    db.migrate()
    with db.shared_session() as session:
        return access.find_organization(session, slug)


def operator(organization: Organization) -> Caller:
    """Return who works at the command line: whoever can start it may do everything."""
    return Caller(organization.id, "command line", Role.ADMIN)
