"""Whether two engines answered the same; each is read from JSON, where decimals and dates may be texts."""

import decimal
import math


def compare(ours, theirs):
    """Raises ValueError where the rows differ, whatever their order; both sides have to answer the same before their
    speed means anything."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rows instead of {len(theirs)}")
    for mine, other in zip(sorted(ours, key=order), sorted(theirs, key=order)):
        if len(mine) != len(other) or not all(map(same, mine, other)):
            raise ValueError(f"{mine} instead of {other}")


def order(row):
    """Sorts by what is exact first: what is inexact may differ in its last digits."""
    exact = [str(value) for value in row if number(value) is None]
    return exact, [round(float(number(value)), 2) for value in row if number(value) is not None]


def same(one, other):
    """Texts, whole numbers and decimals exactly; floats to 1e-9 relative. Where one engine answers with a decimal and the
    other with a float, which happens to averages and quotients, also to one unit of the decimal's last place."""
    mine, theirs = number(one), number(other)
    if mine is None or theirs is None:
        return one == other
    if not isinstance(one, float) and not isinstance(other, float):
        return mine == theirs
    unit = max((10.0 ** value.as_tuple().exponent for value, given in ((mine, one), (theirs, other))
                if isinstance(given, str)), default=0.0)
    return math.isclose(mine, theirs, rel_tol=1e-9, abs_tol=unit)


def number(value):
    """A decimal, which holds every one of them exactly; `None` for what is none."""
    if value is None or isinstance(value, bool):
        return None
    try:
        parsed = decimal.Decimal(value)
    except (decimal.InvalidOperation, TypeError, ValueError):
        return None
    return parsed if parsed.is_finite() else None
