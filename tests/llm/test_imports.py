from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["exchange", "endpoints", "ledger", "templates", "requests", "keys"])
def test_asking_models_loads_no_client_into_the_worker(module):
    look = f"import json, sys, learning_core.llm.{module}; print(json.dumps(list(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert {"openai", "httpx2", "pandas", "numpy", "scipy"} & set(json.loads(found.stdout)) == set()
