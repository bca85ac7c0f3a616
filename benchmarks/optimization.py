"""Who finds the better prompt with the same number of calls: Afterglow, a plain loop, gepa or DSPy?

Every contestant gets 40 examples to learn from, 60 to choose by and 240 answers of the model for that; what
it chooses is scored on examples nobody saw. Calls are counted where they arrive. On the stand-in this proves
the machinery: that budgets hold, that nothing is asked twice, that a search finds what is there to be found.
How much a prompt gains on a model in the world, only that model tells: name one with --base-url.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean, median, stdev
from typing import NamedTuple

from scipy.stats import t

from benchmarks import contestants, figures, peers, samples
from benchmarks.contestants import BUDGET, Contestant, Setting
from benchmarks.figures import AT_LEAST, Finding
from benchmarks.ground import Options
from benchmarks.samples import Task
from benchmarks.served import TASK, WRITER, Served, Voice, serving, speaking
from learning_core import db
from learning_core.llm.templates import Prompt
from learning_core.prompts.racing import Mode

OURS, PLAIN, BEFORE = "Afterglow", "plain loop", "(as it was)"
REACHED = 0.70
"""Share (0-1) of the selection set that the best prompt known so far has to get right."""
WITHIN = 150

TARGETS = {"10 intents": (0.77, 0.72), "6 classes": (0.60, None)}
"""Generated task -> mean and worst held-out score (0-1) over the seeds, on the stand-in."""

CONTESTANTS: dict[str, Contestant] = {
    OURS: contestants.ours,
    "Afterglow, exhaustive": partial(contestants.ours, mode=Mode.EXHAUSTIVE),
    PLAIN: contestants.plain_loop,
}


class Attempt(NamedTuple):
    """What a contestant came to with one seed.

    Attributes:
        held_out: Score (0-1) on the held-out examples.
        calls, writer_calls: Answered at the port.
        repeated: Of them, what had been asked before.
        reached_after: Calls after which the best prompt it knew had `REACHED` on the selection set.
    """

    held_out: float
    calls: int
    writer_calls: int
    repeated: int
    reached_after: int | None
    seconds: float
    remark: str


@dataclass(frozen=True)
class Bout:
    """All attempts at one task: contestant -> one per seed."""

    task: Task
    attempts: dict[str, list[Attempt]]

    def held_out(self, name: str) -> list[float]:
        """Return a contestant's held-out scores, one per seed."""
        return [attempt.held_out for attempt in self.attempts[name]]


def run(options: Options) -> list[Finding]:
    """Let all compete at each task, print a table for each, and say what was reached."""
    db.migrate()
    with serving(options) as served, speaking(served) as voice:
        findings = []
        for task in tasks(options):
            bout = compete(task, seeds(options), served, voice)
            show(bout)
            findings += judge(bout, stands_in=not options.base_url)
    return findings


def tasks(options: Options) -> list[Task]:
    """Return the task that the command line names, or the generated ones."""
    if not options.task:
        return samples.generated()
    test = Path(options.test) if options.test else None
    return [samples.read(Path(options.task), test, options.prompt or None)]


def seeds(options: Options) -> range:
    """Return the seeds, two of them for a quick look."""
    return range(1, 1 + (2 if options.quick else options.seeds))


def compete(task: Task, chosen: Sequence[int], served: Served, voice: Voice) -> Bout:
    """Let every contestant try its best with every seed; they take turns."""
    everybody = CONTESTANTS | peers.installed()
    attempts: dict[str, list[Attempt]] = {name: [] for name in (BEFORE, *everybody)}
    for seed in chosen:
        setting = Setting(samples.draw(task, seed), served, voice)
        attempts[BEFORE].append(as_it_was(setting))
        for name, contestant in everybody.items():
            attempts[name].append(attempt(contestant, setting))
            print(f"{task.name}, seed {seed}, {name}: {attempts[name][-1].held_out:.3f}", flush=True)
    return Bout(task, attempts)


def attempt(contestant: Contestant, setting: Setting) -> Attempt:
    """Let one contestant try, and look at what it chose."""
    served, sample = setting.served, setting.sample
    served.forget()
    begun = time.perf_counter()
    course = contestant(setting)
    seconds = time.perf_counter() - begun
    calls, writer_calls, repeated = served.calls[TASK], served.calls[WRITER], served.repeated
    reached = (calls for calls, prompt in course.leaders if _mean(setting, prompt) >= REACHED)
    return Attempt(
        fmean(served.scores(course.prompt, sample.held_out, setting.evaluator, setting.max_tokens)),
        calls,
        writer_calls,
        repeated,
        next(reached, None),
        seconds,
        course.remark,
    )


def as_it_was(setting: Setting) -> Attempt:
    """Score the prompt that all start with."""
    prompt, sample = Prompt.from_text(setting.sample.task.prompt), setting.sample
    scores = setting.served.scores(prompt, sample.held_out, setting.evaluator, setting.max_tokens)
    return Attempt(fmean(scores), 0, 0, 0, None, 0.0, "")


def _mean(setting: Setting, prompt: Prompt) -> float:
    selection = setting.sample.selection
    return fmean(setting.served.scores(prompt, selection, setting.evaluator, setting.max_tokens))


# ---------------------------------------------------------------- what came of it


def show(bout: Bout) -> None:
    """Print one line per contestant: means over the seeds, with the worst beside them."""
    n = len(bout.attempts[BEFORE])
    print(f"\n{bout.task.name}: {n} seeds, {BUDGET} calls each to choose by")
    figures.show_table(HEAD, [_row(name, attempts) for name, attempts in bout.attempts.items()])
    for name, why in peers.missing().items():
        print(f"{name} is left out: {why}.")
    print(flush=True)


HEAD = (
    "contestant",
    "held-out mean",
    "95 % interval",
    "worst",
    "calls",
    f"over {BUDGET}",
    "asked twice",
    "writer calls",
    f"calls to {REACHED:.2f}",
    "seconds",
    "",
)


def _row(name: str, attempts: Sequence[Attempt]) -> tuple[str, ...]:
    scores = [attempt.held_out for attempt in attempts]
    told = (name, f"{fmean(scores):.3f}", _interval(scores), f"{min(scores):.3f}")
    if name == BEFORE:
        return (*told, *[""] * (len(HEAD) - len(told)))
    return (
        *told,
        f"{fmean(attempt.calls for attempt in attempts):.0f}",
        f"{max(_over(attempt) for attempt in attempts)}",
        f"{sum(attempt.repeated for attempt in attempts)}",
        f"{fmean(attempt.writer_calls for attempt in attempts):.0f}",
        _reached(attempts),
        f"{fmean(attempt.seconds for attempt in attempts):.1f}",
        attempts[-1].remark,
    )


def _interval(scores: Sequence[float]) -> str:
    """Return Student's 95 % interval of the mean over seeds."""
    if len(scores) < 2:
        return ""
    half = float(t.ppf(0.975, len(scores) - 1)) * stdev(scores) / len(scores) ** 0.5
    return f"{fmean(scores) - half:.3f} - {fmean(scores) + half:.3f}"


def _over(attempt: Attempt) -> int:
    return max(0, attempt.calls - BUDGET)


def _reached(attempts: Sequence[Attempt]) -> str:
    after = [attempt.reached_after for attempt in attempts if attempt.reached_after is not None]
    if not after:
        return "never"
    often = "" if len(after) == len(attempts) else f" ({len(after)} of {len(attempts)})"
    return f"{median(after):.0f}{often}"


def judge(bout: Bout, *, stands_in: bool) -> list[Finding]:
    """Say what ours came to, against the plain loop and, on the stand-in, against what it has to reach."""
    mine, task = bout.attempts[OURS], bout.task.name
    findings = [
        figures.proof(f"{task}: calls over {BUDGET}", sum(map(_over, mine))),
        figures.proof(f"{task}: calls asked twice", sum(attempt.repeated for attempt in mine)),
        figures.multiple(
            f"{task}: held-out score",
            [fmean(bout.held_out(OURS))],
            [fmean(bout.held_out(PLAIN))],
            against=PLAIN,
            unit="right",
            target=1.0,
            bound=AT_LEAST,
        ),
    ]
    return findings + (list(_targets(bout)) if stands_in and task in TARGETS else [])


def _targets(bout: Bout) -> Iterator[Finding]:
    """Yield what the machinery has to reach on the stand-in."""
    task, scores = bout.task.name, bout.held_out(OURS)
    mean, worst = TARGETS[task]
    yield _at_least(f"{task}: held-out mean (stand-in)", scores, fmean(scores), mean)
    if worst is not None:
        yield _at_least(f"{task}: held-out worst (stand-in)", scores, min(scores), worst)
        never = 10 * BUDGET
        after = [float(attempt.reached_after or never) for attempt in bout.attempts[OURS]]
        yield figures.absolute(
            f"{task}: calls to {REACHED:.2f} (stand-in)", after, unit="calls", target=WITHIN
        )


def _at_least(what: str, scores: Sequence[float], reached: float, target: float) -> Finding:
    return Finding(what, "", scores, [], [reached], "right", "right", bound=AT_LEAST, target=target)
