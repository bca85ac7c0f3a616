from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"pandas", "scipy", "datasketch", "pyarrow", "fastapi", "streamlit"}


def test_nothing_imports_against_the_order_of_the_story():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("module", "unloaded"),
    [
        ("learning_core", {"pandas", "sqlalchemy", "streamlit", "scipy", "fastapi"}),
        ("learning_core.cli", {"pandas", "numpy", "streamlit", "scipy", "fastapi"}),
        ("learning_core.feedback.intervals", {"pandas", "sqlalchemy"}),
        ("learning_core.feedback.themes", {"sqlalchemy"}),
        ("learning_core.review.agreement", {"pandas", "sqlalchemy"}),
        ("learning_core.review.annotations", {"numpy", *HEAVY}),
        ("learning_core.review.importing", {"numpy", *HEAVY}),
        ("learning_core.review.runs", HEAVY),
        ("learning_core.review.trace", HEAVY),
        ("learning_core.datasets.exports", {"sqlalchemy", "numpy", *HEAVY}),
        ("learning_core.datasets.download", HEAVY),
        ("learning_core.datasets.queries", HEAVY),
        ("learning_core.datasets.runs", HEAVY),
        ("learning_core.evaluation.checks", {"sqlalchemy", "numpy", *HEAVY}),
        ("learning_core.llm.exchange", {"openai", *HEAVY}),
        ("learning_core.prompts.racing", {"sqlalchemy", *HEAVY}),
        ("learning_core.prompts.verdict", {"sqlalchemy", *HEAVY}),
        ("learning_core.prompts.optimizer", {"sqlalchemy", *HEAVY}),
        ("learning_core.prompts.strategies", {"sqlalchemy", "numpy", *HEAVY}),
        ("learning_core.demo.reviewing", HEAVY),
        ("learning_core.api", {"streamlit", "plotly"}),
    ],
)
def test_importing_a_module_leaves_alone_what_it_has_no_use_for(module, unloaded):
    look = f"import json, sys, {module}; print(json.dumps([name for name in sys.modules if '.' not in name]))"
    found = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert unloaded & set(json.loads(found.stdout)) == set()
