"""95 % confidence intervals of shares and means over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from opsin.errors import OpsinError
from opsin.records import Interval

LEVEL = 0.95
RESAMPLES = 2000
_CELLS = 4_000_000


def bootstrap_mean(
    values: np.ndarray, *, groups: Sequence[object] | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """Percentile bootstrap interval of the mean of `values` `(n,)` (Efron 1979, Bootstrap methods: another look at the
    jackknife).

    Images of one group (patient, plant, board) are not independent, so whole groups are drawn where groups are known.
    Drawing n of n images that have few distinct values is drawing from a multinomial distribution, which is what is
    done: the same distribution, without n x resamples indices.

    Raises:
        OpsinError: there are no values.
    """
    values = np.asarray(values, np.float64)
    if not len(values):
        raise OpsinError("no values were given; expected at least one image to compute an interval of")
    if groups is None:
        kinds, count = np.unique(values, return_counts=True)
        sums, sizes = kinds, np.ones(len(kinds))
    else:
        _, member = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        pairs = np.stack([np.bincount(member, weights=values), np.bincount(member)], axis=1)
        kinds, count = np.unique(pairs, axis=0, return_counts=True)
        sums, sizes = kinds.T
    rng = np.random.default_rng(seed)
    total, rows = int(count.sum()), max(1, _CELLS // len(count))
    means = []
    for start in range(0, resamples, rows):
        drawn = rng.multinomial(total, count / total, size=min(rows, resamples - start))
        means.append((drawn @ sums) / (drawn @ sizes))
    low, high = np.quantile(np.concatenate(means), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def share_interval(hits: np.ndarray, *, groups: Sequence[object] | None = None, seed: int = 0) -> Interval:
    """Interval of the share of True in `hits` bool `(n,)`: percentile bootstrap over images, or over groups.

    Where all are equal every resample is too, and the bootstrap would claim certainty; Wilson's interval stands in.
    """
    hits = np.asarray(hits, bool)
    if len(hits) and (hits.all() or not hits.any()):
        independent = len(hits) if groups is None else len(set(groups))
        return wilson(independent if hits[0] else 0, independent)
    return bootstrap_mean(hits, groups=groups, seed=seed)


def wilson(hits: int, total: int) -> Interval:
    """Score interval of a share (Wilson 1927, Probable inference, the law of succession, and statistical inference).

    Recommended for small numbers by Brown, Cai and DasGupta (2001, Interval estimation for a binomial proportion): it
    covers close to 95 % also for shares near 0 and 1, where classes with few images lie. 0 to 1 without any images.
    """
    if total == 0:
        return Interval(0.0, 1.0)
    z = norm.ppf((1 + LEVEL) / 2)
    share = hits / total
    centre = (share + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z / (1 + z**2 / total) * np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2))
    # the formula gives these ends exactly; rounding does not
    low = 0.0 if hits == 0 else max(0.0, float(centre - half))
    high = 1.0 if hits == total else min(1.0, float(centre + half))
    return Interval(low, high)
