"""Run the named benchmarks, or all: each in a process and a folder of its own; then say what was reached."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import figures, ground
from benchmarks.figures import Finding
from benchmarks.ground import Options

NAMES = (
    "statistics",
    "exposures",
    "throughput",
    "assignment",
    "importing",
    "durability",
    "review",
    "deck",
    "racing",
    "optimization",
    "kills",
    "experiments",
    "guardrails",
    "latency",
    "spending",
    "cold_start",
    "sessions",
)


def main() -> int:
    """Run what the command line asks for; the exit code is 1 where one broke or a proof failed."""
    arguments = _parse()
    options = Options(**{name: getattr(arguments, name) for name in Options._fields})
    if arguments.findings:  # we are the child that does the work
        return _run_here(arguments.names[0], options, arguments.findings)
    print(ground.machine(), flush=True)
    found = {name: _run_apart(name, options) for name in arguments.names}
    everything = [finding for findings in found.values() for finding in findings or []]
    print(f"\n=== Summary{' (small sizes: only what is proved counts)' if options.quick else ''}")
    figures.summarize(everything)
    broken = [name for name, findings in found.items() if findings is None]
    if broken:
        print(f"Broken: {', '.join(broken)}")
    disproved = any(finding.exact and finding.verdict != "PASS" for finding in everything)
    return 1 if broken or disproved else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"of: {', '.join(NAMES)}; without, all")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run, not how fast")
    parser.add_argument("--clients", type=int, default=64, help="HTTP clients in throughput (default 64)")
    parser.add_argument(
        "--rows",
        type=int,
        default=Options._field_defaults["rows"],
        help="executions of the large experiment in exposures (default %(default)s)",
    )
    _add_model(parser.add_argument_group("optimization", "a model and a task of your own"))
    parser.add_argument("--findings", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if bool(arguments.base_url) != bool(arguments.model):
        parser.error("--base-url and --model belong together")
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    arguments.names = arguments.names or list(NAMES)
    return arguments


def _add_model(group: argparse._ArgumentGroup) -> None:
    told = Options._field_defaults
    group.add_argument("--base-url", default="", help="OpenAI-compatible server; without, the stand-in")
    group.add_argument("--model", default="", help="its model that answers")
    group.add_argument("--writer", default="", help="its model that writes prompts; without, the same")
    group.add_argument("--key-name", default="", help="environment variable that holds its key")
    group.add_argument(
        "--slots", type=int, default=told["slots"], help="requests at a time (default %(default)s)"
    )
    group.add_argument("--seeds", type=int, default=told["seeds"], help="repetitions (default %(default)s)")
    group.add_argument(
        "--task", default="", help="JSONL file, a text and its label a line; without, two generated"
    )
    group.add_argument("--test", default="", help="JSONL file that is held out; without, a part of the other")
    group.add_argument(
        "--prompt", default="", help="the prompt to improve; without, one that names the labels"
    )


def _run_apart(name: str, options: Options) -> list[Finding] | None:
    """Run one benchmark in a child process; return what it found, None where it broke."""
    print(f"\n=== {name}", flush=True)
    begun = time.perf_counter()
    with ground.temporary_home() as home:
        file = home / "findings.json"
        command = [sys.executable, "-m", "benchmarks", name, "--findings", str(file)]
        command += _as_arguments(options)
        code = subprocess.run(command, env=ground.environment(home), cwd=ground.ROOT, check=False).returncode
        print(f"({name} took {time.perf_counter() - begun:.0f} s)", flush=True)
        if code or not file.exists():
            return None
        return [Finding(**finding) for finding in json.loads(file.read_text())]


def _as_arguments(options: Options) -> list[str]:
    told = options._asdict()
    flags = ["--quick"] * told.pop("quick")
    return flags + [f"--{name.replace('_', '-')}={value}" for name, value in told.items()]


def _run_here(name: str, options: Options, file: Path) -> int:
    module = importlib.import_module(f"benchmarks.{name}")
    print((module.__doc__ or "").strip().splitlines()[0])
    findings = module.run(options)
    figures.show(findings)
    file.write_text(json.dumps([asdict(finding) for finding in findings]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
