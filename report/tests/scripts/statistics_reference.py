"""What scipy says of fixed samples: the reference that tests/statistics_reference.rs holds the comparison against.

    python3 report/tests/scripts/statistics_reference.py > report/tests/data/statistics_reference.json

Written with scipy 1.10. Samples are made here, by formulas, so that nothing depends on a random generator.
"""

import itertools
import json
import math
import sys

import numpy as np
from scipy import stats


def spread(count, seed, scale=1.0, shift=0.0):
    """Distinct values without pattern: the fractional parts of multiples of the golden ratio, as normal quantiles."""
    shares = [((seed + k) * 0.6180339887498949) % 1.0 for k in range(1, count + 1)]
    return [shift + scale * float(stats.norm.ppf(0.01 + 0.98 * share)) for share in shares]


def rounded(values, step):
    return [round(value / step) * step for value in values]


def rank_sum(name, a, b):
    """U of b, two-sided p, by whichever of scipy's functions is exact (or, for many values, usual) for it."""
    count = len(a) + len(b)
    tied = len(set(a + b)) < count
    u = stats.mannwhitneyu(b, a, alternative="two-sided", method="asymptotic").statistic
    if count > 60:
        p = stats.mannwhitneyu(b, a, alternative="two-sided", method="asymptotic").pvalue
        by = "mannwhitneyu, asymptotic"
    elif not tied:
        p = stats.mannwhitneyu(b, a, alternative="two-sided", method="exact").pvalue
        by = "mannwhitneyu, exact"
    else:
        ranks = stats.rankdata(a + b)
        expected = len(b) * (count + 1) / 2

        def statistic(first, second, axis=-1):
            return np.abs(np.sum(second, axis=axis) - expected)

        found = stats.permutation_test(
            (ranks[: len(a)], ranks[len(a) :]),
            statistic,
            permutation_type="independent",
            vectorized=True,
            n_resamples=np.inf,
            alternative="greater",
        )
        p = found.pvalue
        by = "permutation_test of midranks"
    return {"name": name, "a": a, "b": b, "u": float(u), "p": float(p), "by": by}


def medians(values):
    """Every resample there is, by its median, with its probability."""
    found = {}
    count = len(values)
    for resample in itertools.combinations_with_replacement(range(count), count):
        ways = math.factorial(count)
        for index in set(resample):
            ways //= math.factorial(resample.count(index))
        median = float(np.median([values[index] for index in resample]))
        found[median] = found.get(median, 0.0) + ways / count**count
    return sorted(found.items())


def quantile(pairs, share):
    below = 0.0
    for value, weight in pairs:
        below += weight
        if below >= share - 1e-12:
            return value
    return pairs[-1][0]


def bootstrap(name, a, b):
    """Percentile intervals of the medians and of their difference, by listing all resamples; and by scipy's drawing."""
    of_a, of_b = medians(a), medians(b)
    differences = sorted(
        (vb - va, wa * wb) for (va, wa), (vb, wb) in itertools.product(of_a, of_b)
    )
    drawn = stats.bootstrap(
        (a, b),
        lambda x, y, axis=-1: np.median(y, axis=axis) - np.median(x, axis=axis),
        method="percentile",
        n_resamples=50_000,
        random_state=np.random.default_rng(1),
        vectorized=True,
    ).confidence_interval
    return {
        "name": name,
        "a": a,
        "b": b,
        "median_a": [quantile(of_a, 0.025), quantile(of_a, 0.975)],
        "difference": [quantile(differences, 0.025), quantile(differences, 0.975)],
        "difference_drawn": [float(drawn.low), float(drawn.high)],
    }


def main():
    tests = [
        rank_sum("separate, 3 + 3", spread(3, 1), spread(3, 2, shift=9.0)),
        rank_sum("separate, 5 + 5", spread(5, 1), spread(5, 2, shift=9.0)),
        rank_sum("shifted, 5 + 5", spread(5, 3), spread(5, 11, shift=1.0)),
        rank_sum("alike, 5 + 5", spread(5, 3), spread(5, 8)),
        rank_sum("unequal sizes, 4 + 9", spread(4, 5, shift=0.7), spread(9, 21)),
        rank_sum("shifted, 10 + 10", spread(10, 3), spread(10, 40, shift=1.0)),
        rank_sum("shifted, 30 + 30", spread(30, 3), spread(30, 70, shift=0.6)),
        rank_sum("ties, 5 + 5", [1.0, 1.0, 2.0, 3.0, 3.0], [2.0, 3.0, 3.0, 4.0, 4.0]),
        rank_sum("ties within sides, 5 + 5", [1.0, 1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 4.0, 4.0, 4.0]),
        rank_sum("ties, 6 + 4", rounded(spread(6, 9), 0.5), rounded(spread(4, 31, shift=0.6), 0.5)),
        rank_sum("shifted, 40 + 40", spread(40, 3), spread(40, 90, shift=0.4)),
        rank_sum("many ties, 50 + 35", rounded(spread(50, 3), 0.5), rounded(spread(35, 99, shift=0.4), 0.5)),
        rank_sum("all equal, 40 + 40", [1.0] * 40, [1.0] * 40),
    ]
    # scipy has no p for values that are all equal: nothing speaks against their being so.
    for test in tests:
        if math.isnan(test["p"]):
            test["p"] = 1.0
    intervals = [
        bootstrap("4 + 4", spread(4, 3, 0.2), spread(4, 17, 0.2, 0.5)),
        bootstrap("5 + 5", spread(5, 3, 0.2), spread(5, 17, 0.2, 0.5)),
        bootstrap("5 + 5, one far out", [0.0, 0.1, 0.05, 2.0, 0.12], spread(5, 17, 0.2, 0.5)),
        bootstrap("6 + 6", spread(6, 3, 0.2), spread(6, 17, 0.2, 0.5)),
        bootstrap("5 + 8", spread(5, 3, 0.2), spread(8, 17, 0.2, 0.5)),
    ]
    json.dump({"rank_sum": tests, "bootstrap": intervals}, sys.stdout, indent=1)
    print()


main()
