"""The command that looks for a better prompt and shows how far it is."""

from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from learning_core import background, db
from learning_core.access import Caller
from learning_core.background import Cap, Run
from learning_core.cli.operators import OrganizationOption, find_organization, operator
from learning_core.schema import RunStatus

LOOK_S = 0.3


def optimize(
    agent: Annotated[str, typer.Option(help="The agent's own key.")],
    organization: OrganizationOption,
    dataset: Annotated[str | None, typer.Option(help="Without, the newest with its examples.")] = None,
    version: Annotated[int | None, typer.Option(help="Version of the dataset; without, the newest.")] = None,
    prompt: Annotated[
        Path | None, typer.Option(help="A prompt as text file; without, the one in production.")
    ] = None,
    goals: Annotated[str, typer.Option(help="What should get better, in your words.")] = "",
    budget: Annotated[int | None, typer.Option(help="Calls of models it may make.")] = None,
    usd: Annotated[float | None, typer.Option(help="US dollars it may spend.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, another search.")] = 1,
) -> None:
    """Look for a better prompt within a budget, and say what was gained on examples the search never saw.

    Interrupted, it goes on as soon as a worker runs; what was paid for is not paid again.
    """
    from learning_core import jobs  # these bring numpy, which the other commands do without
    from learning_core.prompts import runs
    from learning_core.prompts.runs import Wish

    found = find_organization(organization)
    wish = Wish(
        agent=agent,
        text=prompt.read_text(encoding="utf-8") if prompt else None,
        goals=goals,
        dataset=dataset,
        dataset_version=version,
        cap=Cap(Decimal(str(usd)) if usd is not None else None, None, budget),
        seed=seed,
    )
    with db.organization_session(found.id) as session:
        run_id = runs.start_by_name(session, operator(found), wish)
    with jobs.working():
        run = _watch(operator(found), run_id)
    _tell(run)


def _watch(caller: Caller, run_id: UUID) -> Run:
    with RichProgress(*COLUMNS) as bar:
        task = bar.add_task("Waiting", total=None, spent="")
        while True:
            with db.reading_session(caller.organization_id) as session:
                run = background.find(session, run_id)
            bar.update(
                task,
                description=run.progress.get("activity", "Waiting"),
                completed=run.spent.calls,
                total=run.cap.calls or run.estimate["calls"],
                spent=f"{run.spent.calls:,} calls, ${run.spent.usd:.2f}",
            )
            if run.status.is_over or run.status is RunStatus.PAUSED:
                return run
            time.sleep(LOOK_S)


COLUMNS = (
    TextColumn("{task.description}", markup=False),
    BarColumn(),
    TextColumn("{task.fields[spent]}", markup=False),
    TimeElapsedColumn(),
)


def _tell(run: Run) -> None:
    """Say what came of a run; one that failed ends the command with an error."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    if run.status is not RunStatus.SUCCEEDED or run.result is None:
        console.print(f"{run.status.capitalize()}: {run.stop_reason}")
        raise typer.Exit(1)
    verdict = run.result.get("verdict")
    if verdict:
        console.print(verdict["words"])
    elif run.result["winner"] == 0:
        console.print("No candidate did better than the prompt as it is.")
    console.print(run.stop_reason)
    console.print(f"Spent {run.spent.calls:,} calls, {run.spent.tokens:,} tokens, ${run.spent.usd:.2f}.")
    console.print(f"Run {run.id}")
