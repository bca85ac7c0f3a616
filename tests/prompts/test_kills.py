from __future__ import annotations

import pytest

from benchmarks import kills, samples

pytestmark = pytest.mark.xdist_group("model runs")


def test_a_run_killed_again_and_again_comes_to_the_same_result_and_pays_nothing_twice(courier):
    size = kills.QUICK
    sample = samples.draw(samples.generated()[0], kills.SEED)
    undisturbed = kills.live(sample, size, [])
    moments = kills.draw_moments(size.kills, undisturbed.answers)
    killed = kills.live(sample, size, moments)
    assert killed.kills == size.kills
    assert undisturbed.told.result["verdict"] is not None
    proofs = [finding for finding in kills.compare(undisturbed, killed) if finding.exact]
    assert {finding.what: finding.ours for finding in proofs if any(finding.ours)} == {}
