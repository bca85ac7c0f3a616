from __future__ import annotations

import json
from statistics import fmean

import pytest

from benchmarks import contestants, optimization, peers, samples
from benchmarks.contestants import BUDGET, Setting
from benchmarks.ground import Options
from benchmarks.samples import Line, Task
from benchmarks.served import Served, Speaker, serving, speaking, stand_in

SEEDS = range(1, 6)
TASKS = samples.generated()


def setting(task: Task, seed: int) -> Setting:
    served = Served(stand_in)
    return Setting(samples.draw(task, seed), served, Speaker(served.answer))


def attempts(contestant, task: Task) -> list[optimization.Attempt]:
    return [optimization.attempt(contestant, setting(task, seed)) for seed in SEEDS]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_our_search_beats_a_plain_loop_with_the_same_calls_on_examples_neither_has_seen(task):
    ours = attempts(contestants.ours_in_memory, task)
    plain = attempts(contestants.plain_loop, task)
    assert all(mine.held_out > theirs.held_out for mine, theirs in zip(ours, plain, strict=True))
    assert max(one.calls for one in (*ours, *plain)) <= BUDGET
    assert sum(one.repeated for one in ours) == 0
    mean, worst = optimization.TARGETS[task.name]
    assert fmean(one.held_out for one in ours) >= mean
    assert worst is None or min(one.held_out for one in ours) >= worst


@pytest.mark.xdist_group("model runs")
def test_a_run_of_the_product_makes_the_same_search_as_one_in_memory(courier):
    sample = samples.draw(TASKS[0], 1)
    with serving(Options(quick=True)) as served, speaking(served) as voice:
        stored = contestants.ours(Setting(sample, served, voice))
        calls = served.calls
    in_memory = setting(TASKS[0], 1)
    assert contestants.ours_in_memory(in_memory) == stored
    assert in_memory.served.calls == calls


def test_gepa_optimizes_through_its_own_door():
    ours = setting(TASKS[0], 1)
    course = peers.gepa(ours)
    assert ours.served.calls["task"] >= BUDGET
    assert course.leaders[-1][1] == course.prompt


# ---------------------------------------------------------------- examples


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_wordings_of_one_question_stay_in_one_portion(task):
    sample = samples.draw(task, 1)
    portions = (sample.train, sample.selection, sample.held_out)
    assert [len(portion) for portion in portions] == [40, 60, 200]
    groups = [{example.group for example in portion} for portion in portions]
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert all({example.expected_output for example in portion} == labels(task) for portion in portions)


def labels(task: Task) -> set[str]:
    return {line.label for line in task.known}


def test_another_seed_draws_other_examples_and_the_same_seed_the_same():
    assert samples.draw(TASKS[0], 1) == samples.draw(TASKS[0], 1)
    assert samples.draw(TASKS[0], 1).train != samples.draw(TASKS[0], 2).train


def test_a_task_of_ones_own_is_read_from_files(tmp_path):
    train, test = tmp_path / "train.jsonl", tmp_path / "test.jsonl"
    write(train, [Line(f"question {number}", "ab"[number % 2], "") for number in range(120)])
    write(test, [Line(f"other {number}", "ab"[number % 2], "") for number in range(150)])
    task = samples.read(train, test)
    sample = samples.draw(task, 1)
    assert task.prompt == "Classify the text as one of: a, b."
    assert (len(sample.train), len(sample.selection), len(sample.held_out)) == (40, 60, 100)
    assert all(example.input_text.startswith("question") for example in sample.seen)
    assert all(example.input_text.startswith("other") for example in sample.held_out)


def test_without_a_second_file_a_part_of_the_first_is_held_out(tmp_path):
    file = tmp_path / "all.jsonl"
    write(file, [Line(f"question {number}", "ab"[number % 2], "") for number in range(300)])
    sample = samples.draw(samples.read(file), 1)
    assert (len(sample.train), len(sample.selection), len(sample.held_out)) == (40, 60, 100)
    assert len({example.input_text for example in sample.everything}) == 200


def write(file, lines) -> None:
    file.write_text("".join(json.dumps({"text": line.text, "label": line.label}) + "\n" for line in lines))


# ---------------------------------------------------------------- what a writer says


@pytest.mark.parametrize(
    "reply",
    [
        "Name the label.",
        "Here it is:\n```\nName the label.\n```\nGood luck!",
        '{"diagnosis": "prose", "instruction": "Name the label."}',
        '```json\n{"instruction": "Name the label."}\n```',
    ],
)
def test_an_instruction_is_found_however_it_is_wrapped(reply):
    assert contestants.instruction_in(reply) == "Name the label."
