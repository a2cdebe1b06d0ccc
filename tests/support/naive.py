"""Naive twins of the fast indicator kernels: one row at a time, by the formula, in decimal arithmetic of 60 digits.

They share no code with the package. Missing rows are handled as the package promises: left out, their result that of
the row before.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from decimal import Context, Decimal, localcontext
from functools import cache
from itertools import pairwise
from statistics import median

Rows = Sequence[tuple[Decimal, ...]]
RowFunction = Callable[[Rows], Decimal | None]
"""Takes the valid rows up to one instant, oldest first; None means no result yet."""

RowTest = Callable[[tuple[float, ...]], bool]
"""Says whether a row of finite values counts."""

CONTEXT = Context(prec=60, Emin=-999_999, Emax=999_999, traps=[])
NAN = float("nan")


def is_any(_row: tuple[float, ...]) -> bool:
    """Every finite row counts."""
    return True


def is_positive(row: tuple[float, ...]) -> bool:
    """Rows of prices."""
    return all(x > 0 for x in row)


def is_candle(row: tuple[float, ...]) -> bool:
    """Rows of open, high, low, close and perhaps more prices."""
    return is_positive(row) and row[1] >= row[2]


def is_range(row: tuple[float, ...]) -> bool:
    """Rows of high, low, close."""
    return is_positive(row) and row[0] >= row[1]


def series(columns: Sequence[Iterable[float]], function: RowFunction, counts: RowTest = is_any) -> list[float]:
    """Apply ``function`` to the valid rows up to each row."""
    kept: list[tuple[Decimal, ...]] = []
    results: list[float] = []
    newest = NAN
    with localcontext(CONTEXT):
        for row in zip(*columns, strict=True):
            if all(math.isfinite(x) for x in row) and counts(row):
                kept.append(tuple(exact(x) for x in row))
                newest = as_float(function(kept))
            results.append(newest)
    return results


def single(values: Iterable[float], function: Callable[[list[Decimal]], Decimal | None]) -> float:
    """Apply ``function`` to all finite values."""
    with localcontext(CONTEXT):
        return as_float(function([exact(v) for v in values if math.isfinite(v)]))


def exact(value: float) -> Decimal:
    """The decimal of a double, to the digits of the context: 1e300 has 301."""
    return +Decimal(float(value))


def as_float(value: Decimal | None) -> float:
    """The double nearest to ``value``; NaN for none and for what a double cannot hold."""
    if value is None or not value.is_finite():
        return NAN
    result = float(value)
    return result if math.isfinite(result) else NAN


def last(window: int, reduce: Callable[[Rows], Decimal | None]) -> RowFunction:
    """A function of the last ``window`` rows."""
    return lambda rows: reduce(rows[-window:]) if len(rows) >= window else None


def column(rows: Rows, index: int = 0) -> list[Decimal]:
    """One column of the rows."""
    return [row[index] for row in rows]


def divide(numerator: Decimal, denominator: Decimal) -> Decimal | None:
    """The quotient, none when it does not exist."""
    return numerator / denominator if denominator else None


def mean(values: Sequence[Decimal]) -> Decimal:
    """Arithmetic mean; equal values have exactly that mean."""
    return values[0] + sum((v - values[0] for v in values), Decimal()) / len(values)


def moment(values: Sequence[Decimal], power: int) -> Decimal:
    """Sum of the powers of the deviations from the mean."""
    centre = mean(values)
    return sum(((v - centre) ** power for v in values), Decimal())


def std(values: Sequence[Decimal], ddof: int) -> Decimal:
    """Standard deviation."""
    return (moment(values, 2) / (len(values) - ddof)).sqrt()


def cross(x: Sequence[Decimal], y: Sequence[Decimal]) -> Decimal:
    """Sum of the products of the deviations."""
    mx, my = mean(x), mean(y)
    return sum(((a - mx) * (b - my) for a, b in zip(x, y, strict=True)), Decimal())


def pearson(x: Sequence[Decimal], y: Sequence[Decimal]) -> Decimal | None:
    """Correlation."""
    return divide(cross(x, y), (moment(x, 2) * moment(y, 2)).sqrt())


def smooth(values: Sequence[Decimal], seed_rows: int, weight: Decimal) -> Decimal | None:
    """Newest value of an exponential smoothing that starts at the mean of the first values."""
    if len(values) < seed_rows:
        return None
    state = mean(values[:seed_rows])
    for value in values[seed_rows:]:
        state += weight * (value - state)
    return state


def log_returns(close: Sequence[float]) -> list[float]:
    """ln(C_t / C_{t-1}), NaN where either price is missing."""
    results = [NAN] * min(1, len(close))
    with localcontext(CONTEXT):
        for before, now in pairwise(close):
            usable = math.isfinite(before) and math.isfinite(now) and before > 0 and now > 0
            results.append(as_float((exact(now) / exact(before)).ln()) if usable else NAN)
    return results


def std_of_stds(rows: Rows, window: int) -> Decimal | None:
    """Sample deviation of the last ``window`` rolling sample deviations."""
    values = column(rows)
    if len(values) < 2 * window - 1:
        return None
    ends = range(len(values) - window + 1, len(values) + 1)
    return std([std(values[end - window : end], 1) for end in ends], 1)


def weighted_mean(rows: Rows) -> Decimal:
    """Mean with weights 1, 2, … from the oldest to the newest."""
    values = column(rows)
    return sum((i * v for i, v in enumerate(values, 1)), Decimal()) / sum(range(1, len(values) + 1))


def rsi(rows: Rows, period: int) -> Decimal | None:
    """Relative strength index of Wilder."""
    close = column(rows)
    changes = [b - a for a, b in pairwise(close)]
    gain = smooth([max(c, Decimal()) for c in changes], period, Decimal(1) / period)
    loss = smooth([max(-c, Decimal()) for c in changes], period, Decimal(1) / period)
    if gain is None or loss is None:
        return None
    return 100 * gain / (gain + loss) if gain + loss else Decimal(50)


def true_ranges(rows: Rows) -> list[Decimal]:
    """True ranges of rows of high, low, close, from the second row on."""
    return [max(high - low, abs(high - before[2]), abs(low - before[2])) for before, (high, low, _) in pairwise(rows)]


def atr(rows: Rows, period: int) -> Decimal | None:
    """Average true range of Wilder."""
    return smooth(true_ranges(rows), period, Decimal(1) / period)


def wilder_sums(values: Sequence[Decimal], period: int) -> list[Decimal]:
    """Wilder's sums, from the period-th value on."""
    sums = [sum(values[:period], Decimal())]
    for value in values[period:]:
        sums.append(sums[-1] - sums[-1] / period + value)
    return sums


def directional(rows: Rows, period: int) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """+DI, -DI and ADX of rows of high, low, close, with Wilder's sums written out."""
    if len(rows) <= period:
        return None, None, None
    ups = [now[0] - before[0] for before, now in pairwise(rows)]
    downs = [before[1] - now[1] for before, now in pairwise(rows)]
    plus = wilder_sums([u if u > d and u > 0 else Decimal() for u, d in zip(ups, downs, strict=True)], period)
    minus = wilder_sums([d if d > u and d > 0 else Decimal() for u, d in zip(ups, downs, strict=True)], period)
    ranges = wilder_sums(true_ranges(rows), period)
    indices = [(100 * p / r, 100 * m / r) for p, m, r in zip(plus, minus, ranges, strict=True) if r]
    dx = [100 * abs(p - m) / (p + m) if p + m else Decimal() for p, m in indices]
    if not ranges[-1]:
        return None, None, None
    return *indices[-1], smooth(dx, period, Decimal(1) / period)


@cache
def logarithm(ratio: Decimal) -> Decimal:
    """Natural logarithm."""
    return ratio.ln(CONTEXT)


def parkinson_term(row: tuple[Decimal, ...]) -> Decimal:
    """Variance of a bar after Parkinson, of open, high, low, close."""
    return logarithm(row[1] / row[2]) ** 2 / (4 * logarithm(Decimal(2)))


def garman_klass_term(row: tuple[Decimal, ...]) -> Decimal:
    """Variance of a bar after Garman and Klass."""
    weight = 2 * logarithm(Decimal(2)) - 1
    return logarithm(row[1] / row[2]) ** 2 / 2 - weight * logarithm(row[3] / row[0]) ** 2


def rogers_satchell_term(row: tuple[Decimal, ...]) -> Decimal:
    """Variance of a bar after Rogers and Satchell."""
    o, h, lo, c = row[:4]
    return logarithm(h / c) * logarithm(h / o) + logarithm(lo / c) * logarithm(lo / o)


def root_mean(term: Callable[[tuple[Decimal, ...]], Decimal]) -> Callable[[Rows], Decimal]:
    """Root of the mean of the terms, 0 for a negative mean."""
    return lambda rows: max(mean([term(row) for row in rows]), Decimal()).sqrt()


def yang_zhang(rows: Rows) -> Decimal:
    """Yang-Zhang volatility of rows of open, high, low, close, close before."""
    n = len(rows)
    k = Decimal("0.34") / (Decimal("1.34") + Decimal(n + 1) / (n - 1))
    between = moment([logarithm(o / before) for o, _, _, _, before in rows], 2) / (n - 1)
    within = moment([logarithm(c / o) for o, _, _, c, _ in rows], 2) / (n - 1)
    ranges = mean([rogers_satchell_term(row) for row in rows])
    return max(between + k * within + (1 - k) * ranges, Decimal()).sqrt()


def spike(rows: Rows) -> Decimal | None:
    """Last value over the median of those before it."""
    values = column(rows)
    return divide(values[-1], median(values[:-1]))


def skewness(values: Sequence[Decimal]) -> Decimal | None:
    """Bias-corrected sample skewness."""
    n = len(values)
    if n < 3 or not moment(values, 2):
        return None
    return Decimal(n) / ((n - 1) * (n - 2)) * moment(values, 3) / std(values, 1) ** 3


def excess_kurtosis(values: Sequence[Decimal]) -> Decimal | None:
    """Bias-corrected sample excess kurtosis."""
    n = len(values)
    if n < 4 or not moment(values, 2):
        return None
    fourth = moment(values, 4) / std(values, 1) ** 4
    head = Decimal(n * (n + 1)) / ((n - 1) * (n - 2) * (n - 3)) * fourth
    return head - Decimal(3 * (n - 1) ** 2) / ((n - 2) * (n - 3))


def autocorrelation(values: Sequence[float], lag: int) -> float:
    """Box-Jenkins autocorrelation with pairs only where both values exist."""
    with localcontext(CONTEXT):
        kept = [exact(v) for v in values if math.isfinite(v)]
        if not kept or not moment(kept, 2):
            return NAN
        centre = mean(kept)
        pairs = [
            (exact(a) - centre) * (exact(b) - centre)
            for a, b in zip(values, values[lag:], strict=False)
            if math.isfinite(a) and math.isfinite(b)
        ]
        return as_float(sum(pairs, Decimal()) / moment(kept, 2)) if pairs else NAN


def variance_ratio(values: Sequence[Decimal], q: int) -> tuple[Decimal | None, Decimal | None]:
    """Variance ratio of Lo and MacKinlay and its robust test value."""
    n = len(values)
    if n <= q or not moment(values, 2):
        return None, None
    centre = mean(values)
    deviations = [v - centre for v in values]
    long = sum((sum(deviations[i : i + q], Decimal()) ** 2 for i in range(n - q + 1)), Decimal())
    scale = q * (n - q + 1) * (1 - Decimal(q) / n)
    ratio = long / scale / (moment(values, 2) / (n - 1))
    theta = Decimal()
    for k in range(1, q):
        products = (deviations[j] ** 2 * deviations[j - k] ** 2 for j in range(k, n))
        theta += 4 * (1 - Decimal(k) / q) ** 2 * n * sum(products, Decimal()) / moment(values, 2) ** 2
    return ratio, divide(Decimal(n).sqrt() * (ratio - 1), theta.sqrt())


def realized(returns: Sequence[float]) -> tuple[float, float, float]:
    """Realised variance, bipower variation and jump share."""
    with localcontext(CONTEXT):
        kept = [exact(r) for r in returns if math.isfinite(r)]
        pairs = [abs(exact(a) * exact(b)) for a, b in pairwise(returns) if math.isfinite(a) and math.isfinite(b)]
        variance = sum((r**2 for r in kept), Decimal()) if kept else None
        bipower = sum(pairs, Decimal()) * Decimal(math.pi) / 2 * len(kept) / len(pairs) if pairs else None
        share = max(Decimal(), 1 - bipower / variance) if variance and bipower is not None else None
        return as_float(variance), as_float(bipower), as_float(share)


def entropy(values: Sequence[Decimal], bins: int) -> Decimal | None:
    """Entropy of the histogram between minimum and maximum over its maximum."""
    if len(values) < 2:
        return None
    low, high = min(values), max(values)
    if low == high:
        return Decimal()
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    shares = [Decimal(count) / len(values) for count in counts if count]
    return -sum((share * share.ln() for share in shares), Decimal()) / Decimal(bins).ln()
