"""Commands that bring in what was collected elsewhere and take out what trainers need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from learning_core import rowfiles
from learning_core.cli.operators import OrganizationOption, find_organization, operator
from learning_core.feedback import importing as feedback_importing
from learning_core.review import importing as review_importing

import_app = typer.Typer(help="Bring in what was collected elsewhere.", no_args_is_help=True)


File = Annotated[Path, typer.Argument(help="JSONL or CSV; columns as in docs/importing.md.")]


@import_app.command("feedback")
def import_feedback(file: File, organization: OrganizationOption) -> None:
    """Import feedback from a file: resumable, idempotent, bad rows go to a reject file."""
    _import(file, feedback_importing.import_feedback(find_organization(organization).id, file))


@import_app.command("examples")
def import_examples(file: File, organization: OrganizationOption) -> None:
    """Import examples to be reviewed, or approved elsewhere: a dataset exported as jsonl, for one."""
    _import(file, review_importing.import_examples(operator(find_organization(organization)), file))


@import_app.command("annotations")
def import_annotations(file: File, organization: OrganizationOption) -> None:
    """Import experts' judgements of examples that are there already."""
    _import(file, review_importing.import_annotations(operator(find_organization(organization)), file))


def _import(file: Path, steps: Iterator[rowfiles.Progress]) -> None:
    with RichProgress(*PROGRESS_COLUMNS) as bar:
        task = bar.add_task("Importing", total=file.stat().st_size if file.exists() else None, stored=0)
        for progress in steps:
            bar.update(task, completed=progress.bytes_read, stored=progress.stored)
    typer.echo(f"Stored {progress.stored:,} of {progress.rows_read:,} rows.")
    if progress.ignored_columns:
        typer.echo(f"Ignored the columns: {', '.join(sorted(progress.ignored_columns)[:20])}.")
    if progress.rejected:
        typer.echo(f"Rejected {progress.rejected:,} rows; see {rowfiles.rejects_of(file)}.")


PROGRESS_COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    TaskProgressColumn(),
    TextColumn("{task.fields[stored]:,} rows"),
    TimeRemainingColumn(),
)


export_app = typer.Typer(help="Take out what trainers need.", no_args_is_help=True)


@export_app.command("dataset")
def export_dataset(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    organization: OrganizationOption,
    version: Annotated[int | None, typer.Option(help="Its version; without, the newest.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test; without, all.")] = None,
    format: Annotated[
        str, typer.Option(help="jsonl, openai_chat, trl_sft, trl_dpo, csv or parquet.")
    ] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="The file; without, a name that tells what it is.")] = None,
) -> None:
    """Write a frozen version to a file. A look at the test split is put on record."""
    from learning_core.datasets import download  # brings numpy, which the other commands do without

    caller = operator(find_organization(organization))
    path, left_out = download.save(caller, name, version, split, format, out)
    typer.echo(f"Wrote {path}.")
    if left_out:
        typer.echo(f"Left out {left_out:,} examples that this format cannot express.")
