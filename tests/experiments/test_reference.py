"""Values computed twice independently (closed forms; R 4.2), which the analysis has to reach."""

import doctest
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from learning_core.experiments.statistics import boundaries, mismatch, moments, multiplicity, sequential
from learning_core.experiments.statistics.moments import Arm, Difference

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
CASES = REFERENCE["cases"]
GROWTHBOOK_N = 5000


def group(name: str) -> list[str]:
    return [key for key in CASES if key.startswith(f"{name}/")]


def close(found: object, expected: object) -> None:
    np.testing.assert_allclose(np.asarray(found, dtype=float), expected, rtol=1e-6, atol=1e-12)


def close_p(found: object, expected: float) -> None:
    np.testing.assert_allclose(float(found), expected, rtol=1e-6 if expected > 1e-4 else 1e-4)


def mean_arm(n: int, mean: float, sd: float) -> Arm:
    return Arm(mean, sd**2 / n, n, n)


def arms(inputs: dict[str, Any]) -> tuple[Arm, Arm]:
    """The reference takes a share's variance as p (1 - p) / n."""
    if "x_c" not in inputs:
        return tuple(mean_arm(inputs[f"n_{v}"], inputs[f"mean_{v}"], inputs[f"sd_{v}"]) for v in "ct")
    rates = [(inputs[f"n_{v}"], inputs[f"x_{v}"] / inputs[f"n_{v}"]) for v in "ct"]
    return tuple(mean_arm(n, rate, np.sqrt(rate * (1 - rate))) for n, rate in rates)


def around(difference: Difference, radius: object) -> list[float]:
    return [
        float(difference.value - radius * difference.se),
        float(difference.value + radius * difference.se),
    ]


def delayed_start(difference: Difference) -> dict[str, Any]:
    return {
        "delayed_start_first_look_ci": around(difference, sequential.two_sided_radius(1, 0.05)),
        "delayed_start_first_look_p": sequential.two_sided_p(difference.z, 1),
        "delayed_start_info_ratio2_ci": around(difference, sequential.two_sided_radius(2, 0.05)),
        "delayed_start_info_ratio2_p": sequential.two_sided_p(difference.z, 2),
    }


def mixture(difference: Difference, kind: str, n: float) -> dict[str, Any]:
    scale = sequential.mixture_scale(n / GROWTHBOOK_N, 0.05)
    return {
        f"asympcs_{kind}_N5000_ci": around(difference, sequential.mixture_radius(scale, 0.05)),
        f"asympcs_{kind}_N5000_p": sequential.mixture_p(difference.z, scale),
    }


def of_two(control: Arm, treatment: Arm) -> dict[str, Any]:
    difference, relative = moments.difference(control, treatment), moments.to_relative(control, treatment)
    n = control.users + treatment.users
    found = {
        "diff": difference.value,
        "wald_ci": around(difference, moments.Z_95),
        "ctw_gauss_abs": norm.cdf(difference.z),
        **mixture(difference, "abs", n),
    }
    if np.isfinite(relative.value):
        found |= {
            "rel_lift": relative.value,
            "rel_se": relative.se,
            "rel_wald_ci": around(relative, moments.Z_95),
            "ctw_gauss_rel": norm.cdf(relative.z),
            **delayed_start(difference),
            **mixture(relative, "rel", n),
        }
    return found


def compare(found: dict[str, Any], expected: dict[str, Any]) -> None:
    missing = expected.keys() - found.keys()
    assert not missing
    for key, value in expected.items():
        (close_p if key.endswith("_p") or key.startswith("p_") else close)(found[key], value)


@pytest.mark.parametrize("case", group("binary"))
def test_shares(case: str) -> None:
    inputs, expected = CASES[case]["inputs"], CASES[case]["expected"]
    control, treatment = arms(inputs)
    difference = moments.difference(control, treatment)
    found = {
        "p_c": control.value,
        "p_t": treatment.value,
        "se_unpooled": difference.se,
        "z_unpooled": difference.z,
        "p_unpooled": 2 * norm.sf(abs(difference.z)),
    }
    compare(found | of_two(control, treatment), expected)


@pytest.mark.parametrize("case", group("binary"))
def test_shares_from_users_have_the_unbiased_variance(case: str) -> None:
    inputs, expected = CASES[case]["inputs"], CASES[case]["expected"]
    variance = 0.0
    for v in "ct":
        n, x = inputs[f"n_{v}"], inputs[f"x_{v}"]
        arm = moments.arm(moments.summed(np.ones(n), np.arange(n) < x))
        close(arm.value, expected[f"p_{v}"])
        variance += float(arm.variance) * (n - 1) / n
    close(np.sqrt(variance), expected["se_unpooled"])


@pytest.mark.parametrize("case", group("continuous"))
def test_means(case: str) -> None:
    control, treatment = arms(CASES[case]["inputs"])
    se = moments.difference(control, treatment).se
    compare(of_two(control, treatment) | {"se": se}, CASES[case]["expected"])


def test_users_who_rate_more_than_once() -> None:
    case = CASES["clustered_binary/K1"]
    users = [np.array(case["inputs"][name], dtype=float) for name in ("control", "treatment")]
    control, treatment = (moments.arm(moments.summed(of[:, 0], of[:, 1])) for of in users)
    difference = moments.difference(control, treatment)
    found = {
        "mean_c": control.value,
        "mean_t": treatment.value,
        "se_cluster": difference.se,
        "z_cluster": difference.z,
        "p_cluster_normal": 2 * norm.sf(abs(difference.z)),
        "ci_cluster_normal": around(difference, moments.Z_95),
    }
    compare(found | of_two(control, treatment), case["expected"])


def test_daily_looks_by_delayed_start_and_by_mixture() -> None:
    case = CASES["sequential_binary/S1"]
    inputs, expected = case["inputs"], case["expected"]["looks"]
    planned = ((moments.Z_95 + norm.ppf(0.8)) / inputs["mde"]) ** 2
    first = most = None
    rs_p = mixture_p = 1.0
    low, high = -np.inf, np.inf
    significant = []
    for (day, n_c, x_c, n_t, x_t), at_day in zip(inputs["looks"], expected, strict=True):
        control, treatment = arms({"n_c": n_c, "x_c": x_c, "n_t": n_t, "x_t": x_t})
        difference = moments.difference(control, treatment)
        information = float(difference.information)
        scale = sequential.mixture_scale(information / planned, inputs["alpha"])
        mixture_p = min(mixture_p, float(sequential.mixture_p(difference.z, scale)))
        found: dict[str, Any] = {
            "day": day,
            "n": n_c + n_t,
            "diff": difference.value,
            "se": difference.se,
            "fixed_p": 2 * norm.sf(abs(difference.z)),
            "mixture_info_p": sequential.mixture_p(difference.z, scale),
            "mixture_info_p_running_min": mixture_p,
            "mixture_info_ci": around(difference, sequential.mixture_radius(scale, inputs["alpha"])),
            "asympcs_N5000_p": mixture(difference, "abs", n_c + n_t)["asympcs_abs_N5000_p"],
        }
        if day >= inputs["first_look_day"] and n_c + n_t >= inputs["min_n"]:
            first = first or information
            most = max(most or 0.0, information)
            p = float(sequential.two_sided_p(difference.z, most / first))
            rs_p = min(rs_p, p)
            interval = around(difference, sequential.two_sided_radius(most / first, inputs["alpha"]))
            low, high = max(low, interval[0]), min(high, interval[1])
            significant += [day] if rs_p <= inputs["alpha"] else []
            found |= {
                "rs_p": p,
                "rs_p_running_min": rs_p,
                "rs_ci": interval,
                "rs_ci_running_intersection": [low, high],
                "info_ratio": most / first,
                "significant": rs_p <= inputs["alpha"],
            }
        compare(found, at_day)
    assert significant[0] == case["expected"]["first_significant_day"]


@pytest.mark.parametrize("case", group("noninferiority"))
def test_margins(case: str) -> None:
    inputs, expected = CASES[case]["inputs"], CASES[case]["expected"]
    control, treatment = arms(inputs)
    contrast = moments.contrast(control, treatment, inputs["rel_margin"])
    found = {
        "contrast": contrast.value,
        "se": contrast.se,
        "z_noninferior": contrast.z,
        "p_noninferior_fixed": norm.sf(contrast.z),
        "p_breach_fixed": norm.cdf(contrast.z),
        "rel_change": moments.to_relative(control, treatment).value,
        "rs_p_noninferior_first_look": sequential.one_sided_p(contrast.z, 1),
        "rs_p_breach_first_look": sequential.one_sided_p(-contrast.z, 1),
        "rs_p_noninferior_info_ratio3": sequential.one_sided_p(contrast.z, 3),
        "rs_p_breach_info_ratio3": sequential.one_sided_p(-contrast.z, 3),
        "fieller_rel_change_ci": moments.relative(control, treatment),
    }
    for key, value in expected.items():
        (close_p if "_p_" in key or key.startswith("p_") else close)(found[key], value)


def test_history_explains_a_part() -> None:
    case = CASES["cuped/U1"]
    group, pre, post = (np.array(case["inputs"][name], dtype=float) for name in ("group", "pre", "post"))
    control, treatment = (
        moments.summed(np.ones(int((group == arm).sum())), post[group == arm], pre[group == arm])
        for arm in (0, 1)
    )
    raw = moments.difference(moments.arm(control), moments.arm(treatment))
    adjusted = moments.difference(*moments.adjusted(control, treatment))
    expected = dict(case["expected"])
    slope = expected.pop("theta_all_units")
    close(np.polyfit(pre, post, 1)[0], slope)
    found = {
        "diff_raw": raw.value,
        "se_raw": raw.se,
        "diff_all": adjusted.value,
        "se_all": adjusted.se,
        "ci_all": around(adjusted, moments.Z_95),
    }
    compare(found, expected)


def test_phases_of_a_ramp_are_never_pooled() -> None:
    case = CASES["ramp_simpson/T1"]
    pairs = [arms(phase) for phase in case["inputs"]["phases"]]
    controls, treatments = zip(*pairs, strict=True)
    weights = moments.phase_weights(controls, treatments)
    differences = [moments.difference(*pair) for pair in pairs]
    for found in (
        moments.stratified(differences, weights),
        moments.difference(moments.combined(controls, weights), moments.combined(treatments, weights)),
    ):
        close(found.value, case["expected"]["stratified_diff"])
        close(found.se, case["expected"]["stratified_se"])


@pytest.mark.parametrize("case", group("srm_fixed"))
def test_users_against_shares_at_one_look(case: str) -> None:
    inputs, expected = CASES[case]["inputs"], CASES[case]["expected"]
    statistic, p = mismatch.chi_square([inputs["counts"]], inputs["weights"])
    close(statistic, expected["chi2"])
    close(p, expected["p"])


def test_users_against_shares_day_by_day() -> None:
    case = CASES["srm_sequential/Q1"]
    inputs = case["inputs"]
    counts = np.cumsum(inputs["daily"], axis=0)
    factors = mismatch.log_bayes_factor(counts, inputs["weights"], inputs["k"])
    p = mismatch.sequential_p(factors)
    close(counts, [day["cum_in_phase"] for day in case["expected"]])
    close(factors, [day["log_bf"] for day in case["expected"]])
    close(p, [day["p"] for day in case["expected"]])
    close(np.minimum.accumulate(p), [day["p_running_min"] for day in case["expected"]])


def test_several_questions() -> None:
    case = CASES["multiplicity/H1"]
    close(multiplicity.holm(case["inputs"]["p"]), case["expected"]["holm"])
    close(multiplicity.benjamini_hochberg(case["inputs"]["p"]), case["expected"]["bh"])


def test_bounds_to_one_side() -> None:
    case = CASES["onesided_asympcs/G1"]
    inputs, expected = case["inputs"], case["expected"]
    difference = moments.difference(*arms(inputs))
    n = inputs["n_c"] + inputs["n_t"]
    scale = sequential.mixture_scale(n / inputs["nstar"], 2 * inputs["alpha"])
    radius = sequential.mixture_one_sided_radius(scale, inputs["alpha"])
    close(radius, expected["crit"])
    close(around(difference, radius), [expected["lower_bound_abs"], expected["upper_bound_abs"]])


@pytest.mark.parametrize(("alpha", "squared"), REFERENCE["constants"]["rs_two_sided_a_squared"].items())
def test_radius_at_the_first_look(alpha: str, squared: float) -> None:
    close(sequential.two_sided_radius(1, float(alpha)) ** 2, squared)


@pytest.mark.parametrize(("alpha", "a"), REFERENCE["constants"]["rs_one_sided_a"].items())
def test_one_sided_radius_at_the_first_look(alpha: str, a: float) -> None:
    close(sequential.one_sided_radius(1, float(alpha)), a)


@pytest.mark.parametrize("design", REFERENCE["boundaries"])
def test_boundaries_of_a_planned_end(design: str) -> None:
    information, critical = (np.array(REFERENCE["boundaries"][design][key]) for key in ("info", "crit"))
    spending = boundaries.obrien_fleming if design.startswith("asOF") else boundaries.pocock
    found = boundaries.critical_values(information, spending(information, 0.05))
    np.testing.assert_allclose(found, critical, rtol=0, atol=1e-6 if len(critical) == 4 else 2e-3)


@pytest.mark.parametrize("module", [moments, sequential, boundaries, mismatch, multiplicity])
def test_examples_in_the_documentation_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert (found.failed, found.attempted > 0) == (0, True)
