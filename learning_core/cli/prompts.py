"""Commands that write and read prompt versions, and move the labels that agents ask for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from learning_core import db
from learning_core.cli.operators import OrganizationOption, find_organization, operator
from learning_core.prompts import transfer, versions

app = typer.Typer(help="Prompt versions, and the labels that agents ask for.", no_args_is_help=True)

AgentArgument = Annotated[str, typer.Argument(help="The agent's own key.")]


@app.command("export")
def export_prompts(
    agent: AgentArgument,
    organization: OrganizationOption,
    out: Annotated[Path | None, typer.Option(help="The file, .jsonl or .json.")] = None,
) -> None:
    """Write all versions of an agent's prompt to a file."""
    path = out or Path(f"{re.sub('[^A-Za-z0-9._-]+', '-', agent)}-prompts.jsonl")
    found = find_organization(organization)
    with db.reading_session(found.id) as session:
        lines = list(transfer.write(session, agent, path.suffix.lstrip(".").lower()))
    path.write_text("".join(lines), encoding="utf-8")
    typer.echo(f"Wrote {path}.")


@app.command("import")
def import_prompts(
    agent: AgentArgument,
    file: Annotated[Path, typer.Argument(help="An export, or one prompt as .txt, .md or .json.")],
    organization: OrganizationOption,
) -> None:
    """Take in the versions of a file that are not there yet, in their order; or none, if one is no good."""
    found, entries = find_organization(organization), transfer.read(file)
    with db.organization_session(found.id) as session:
        taken = transfer.take_in(session, operator(found), agent, entries)
    typer.echo(
        f"Added {', '.join(taken.added) or 'nothing'} to {agent}; {len(taken.known)} were there already."
    )
    for label, version in taken.labelled.items():
        typer.echo(f"{label} is {version}.")
    if taken.kept:
        typer.echo(f"Left as they are: {', '.join(taken.kept)}. Move a label with `afterglow prompt label`.")


@app.command("label")
def label_prompt(
    agent: AgentArgument,
    label: Annotated[str, typer.Argument(help="production, staging, or a name of yours.")],
    version: Annotated[str, typer.Argument(help="The version's key, its number, or another label.")],
    organization: OrganizationOption,
) -> None:
    """Let a label point at a version: agents that ask for it get that one from now on."""
    found = find_organization(organization)
    with db.organization_session(found.id) as session:
        labelled = versions.label(session, operator(found), agent, label, version)
    typer.echo(f"{label} of {agent} is {labelled.key} (number {labelled.number}).")
