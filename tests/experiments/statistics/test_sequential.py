"""Second derivations: the mixtures integrated numerically, and random walks that cross or do not."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from learning_core.experiments.statistics import sequential

Z = st.floats(-8, 8)
RATIOS = st.floats(1, 1e4)


def flat_mixture(z: float, t: float, lowest: float) -> float:
    """The likelihood ratio of a Wiener process at z sqrt(t), over drifts from `lowest` on, all alike."""
    at = z * np.sqrt(t)
    peak, width = at / t, 8 / np.sqrt(t)
    low = max(lowest, peak - width)
    return quad(lambda drift: np.exp(drift * at - drift**2 * t / 2), low, max(peak, low) + width)[0]


def crossing(a: float, lowest: float) -> float:
    """The chance that the mixture ever exceeds, from t = 1 on, what it is at a then.

    What is beyond at t = 1 has crossed; what is not does so with the ratio of the mixture to the bound, for
    the mixture is a martingale that ends at 0.
    """
    bound = flat_mixture(a, 1, lowest)
    below = -a if lowest < 0 else -12.0
    later = quad(lambda x: flat_mixture(x, 1, lowest) / bound * norm.pdf(x), below, a)[0]
    return float(norm.sf(a) + later + (norm.cdf(below) if lowest < 0 else 0.0))


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 0.001])
@pytest.mark.parametrize("ratio", [1.0, 1.7, 12.0])
def test_the_two_sided_radius_is_the_mixture_integrated(alpha: float, ratio: float) -> None:
    z = float(sequential.two_sided_radius(ratio, alpha))
    a = float(sequential.two_sided_radius(1, alpha))
    assert flat_mixture(z, ratio, -np.inf) == pytest.approx(flat_mixture(a, 1, -np.inf), rel=1e-8)
    assert crossing(a, -np.inf) == pytest.approx(alpha, rel=1e-7)


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
@pytest.mark.parametrize("ratio", [1.0, 1.7, 12.0])
def test_the_one_sided_radius_is_the_mixture_over_gains_integrated(alpha: float, ratio: float) -> None:
    z = float(sequential.one_sided_radius(ratio, alpha))
    a = float(sequential.one_sided_radius(1, alpha))
    assert flat_mixture(z, ratio, 0.0) == pytest.approx(flat_mixture(a, 1, 0.0), rel=1e-8)
    assert crossing(a, 0.0) == pytest.approx(alpha, rel=1e-6)


@pytest.mark.parametrize(("z", "scale"), [(0.3, 0.5), (2.0, 1.0), (3.1, 7.0)])
def test_the_mixture_is_the_normal_one_integrated(z: float, scale: float) -> None:
    spread = np.sqrt(scale)
    ratio = quad(lambda x: np.exp(x * z - x**2 / 2) * norm.pdf(x, 0, spread), -12 * spread, 12 * spread)[0]
    assert float(sequential.mixture_p(z, scale)) == pytest.approx(min(1, 1 / ratio), rel=1e-7)


@pytest.fixture(scope="module")
def walks() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """z of 4,000 Wiener processes at 120 moments, from t = 1 to 1,000, without drift."""
    t = np.geomspace(1, 1000, 120)
    steps = np.random.default_rng(5).normal(0, np.sqrt(np.diff(t, prepend=0)), (4000, len(t)))
    return steps.cumsum(axis=1) / np.sqrt(t), t


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_random_walks_cross_as_seldom_as_promised_but_not_never(walks, alpha: float) -> None:
    z, t = walks
    crossed = (np.abs(z) > sequential.two_sided_radius(t, alpha)).any(axis=1).mean()
    upwards = (z > sequential.one_sided_radius(t, alpha)).any(axis=1).mean()
    error = np.sqrt(alpha * (1 - alpha) / len(z))
    for share in (crossed, upwards):
        assert alpha / 2 < share < alpha + 3 * error
    plain = (np.abs(z) > norm.isf(alpha / 2)).any(axis=1).mean()
    assert plain > 3 * alpha


@given(Z, RATIOS, st.floats(0.001, 0.4))
def test_a_p_value_is_below_alpha_exactly_outside_the_radius(z: float, ratio: float, alpha: float) -> None:
    for p, inside in (
        (sequential.two_sided_p(z, ratio), abs(z) - sequential.two_sided_radius(ratio, alpha)),
        (sequential.one_sided_p(z, ratio), z - sequential.one_sided_radius(ratio, alpha)),
        (sequential.mixture_p(z, ratio), abs(z) - sequential.mixture_radius(ratio, alpha)),
    ):
        assert 0 < p <= 1
        if abs(inside) > 1e-6:
            assert (p < alpha) == (inside > 0)


@given(Z, RATIOS)
def test_the_same_z_means_less_the_more_is_known(z: float, ratio: float) -> None:
    assert sequential.two_sided_p(z, 2 * ratio) >= sequential.two_sided_p(z, ratio)
    assert sequential.one_sided_p(z, 2 * ratio) >= sequential.one_sided_p(z, ratio) - 1e-15


@given(Z, RATIOS)
def test_both_directions_are_treated_alike(z: float, ratio: float) -> None:
    assert sequential.two_sided_p(z, ratio) == sequential.two_sided_p(-z, ratio)


def test_one_and_many_give_the_same() -> None:
    z, ratio = np.linspace(-6, 6, 40).reshape(4, 10), np.geomspace(1, 50, 40).reshape(4, 10)
    for function in (sequential.two_sided_p, sequential.one_sided_p, sequential.mixture_p):
        together = function(z, ratio)
        alone = [
            [float(function(a, b)) for a, b in zip(*row, strict=True)] for row in zip(z, ratio, strict=True)
        ]
        np.testing.assert_allclose(together, alone, rtol=1e-9)


def test_nothing_comes_of_nothing() -> None:
    assert np.isnan(sequential.two_sided_p(np.nan, 1.0))
    assert np.isnan(sequential.one_sided_p(np.nan, 1.0))
    assert np.isfinite(sequential.one_sided_p(np.array([-400.0, 400.0]), 1.0)).all()


def test_importing_what_judges_brings_no_scipy_along() -> None:
    program = "import sys, learning_core.experiments.comparisons; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


@pytest.mark.parametrize("degrees", [3.0, 29.0, 1_000.0])
def test_students_distribution_is_the_one_of_the_books(degrees: float) -> None:
    from scipy.stats import norm, t

    for z in (-3.0, 0.0, 0.5, 2.8):
        assert float(sequential.as_normal(z, degrees)) == pytest.approx(norm.ppf(t.cdf(z, degrees)), abs=1e-9)
        assert float(sequential.as_normal(sequential.as_student(z, degrees), degrees)) == pytest.approx(
            z, abs=1e-7
        )


def test_a_difference_beyond_all_doubt_stays_a_number() -> None:
    assert float(sequential.as_normal(60.0, 1e6)) == 60.0
    assert np.isnan(sequential.as_student(2.8, np.nan))
