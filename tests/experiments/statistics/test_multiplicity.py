from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning_core.experiments.statistics import multiplicity

P = st.lists(st.floats(0, 1), min_size=1, max_size=6)


@given(P)
def test_holm_is_the_closed_test_by_bonferroni(p: list[float]) -> None:
    """Rejected is what every set of questions rejects that it is part of."""
    sets = [subset for size in range(1, len(p) + 1) for subset in combinations(range(len(p)), size)]
    closed = [
        max(min(1.0, len(subset) * min(p[k] for k in subset)) for subset in sets if number in subset)
        for number in range(len(p))
    ]
    assert multiplicity.holm(p).tolist() == pytest.approx(closed, rel=1e-12)


@given(P)
def test_false_discoveries_are_counted_by_the_step_up_rule(p: list[float]) -> None:
    found = multiplicity.benjamini_hochberg(p)
    for alpha in (0.01, 0.05, 0.2):
        ordered = sorted(p)
        last = max((k for k in range(1, len(p) + 1) if ordered[k - 1] <= k * alpha / len(p)), default=0)
        rejected = found <= alpha
        if np.min(np.abs(found - alpha)) > 1e-9:
            assert rejected.sum() == last


@given(P, st.integers(0, 5), st.floats(0, 1))
def test_a_p_value_that_falls_raises_no_other(p: list[float], which: int, factor: float) -> None:
    less = list(p)
    less[which % len(p)] *= factor
    assert (multiplicity.holm(less) <= multiplicity.holm(p) + 1e-15).all()


def test_questions_lie_along_the_last_axis() -> None:
    p = np.array([[0.01, 0.04], [0.04, 0.5]])
    assert multiplicity.holm(p).tolist() == [multiplicity.holm(row).tolist() for row in p]


@pytest.mark.parametrize("p", [[-0.1], [1.1], [float("nan")]])
def test_what_is_no_probability_is_refused(p: list[float]) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        multiplicity.holm(p)
