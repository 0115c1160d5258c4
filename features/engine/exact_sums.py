"""Exact sums of doubles, which depend on no order: each is cut into whole numbers, and the total is rounded once.

A sum of doubles that is added one by one changes its last digits with the order of the rows, and a difference of
running sums loses more. Here a double is a whole number of a smallest unit, cut into limbs of 32 bits, as in the long
accumulator of Kulisch (2002): limbs are added as 64-bit whole numbers, so running sums and their differences are
exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Doubles = NDArray[np.float64]
_BITS = 32
_LOW = (1 << _BITS) - 1
# Digits of a double, and the factor that halves them for an exact product (Veltkamp 1968).
_DIGITS, _HALVING = 53, 134_217_729.0
# A difference so much smaller than what it is taken from is left with too few of the digits of two doubles.
_UNSURE = 2.0**-60


@dataclass(frozen=True)
class Limbs:
    """Doubles as whole numbers of 2 ** ``lowest``: the sum over k of ``parts[k]`` × 2 ** (32 k); |parts| < 2 ** 33."""

    lowest: int
    parts: Sequence[Integers]


def limbs_of(values: Doubles) -> Limbs:
    """Finite ``values`` cut into limbs, as many as the span between the smallest digit and the largest value asks for.

    Example: 1.5, 0.25 and 3.0 are 6, 1 and 12 of a quarter: lowest -2, and one limb of [6, 1, 12] beside zeros.
    Amounts of money as doubles take three limbs, values from 1e-300 to 1e300 some 66.
    """
    mantissa, exponent = np.frexp(values)
    whole = np.abs(mantissa * 2.0**_DIGITS).astype(np.int64)
    odd = np.where(whole == 0, 1, whole & -whole)
    zeros = np.frexp(odd.astype(np.float64))[1].astype(np.int64) - 1
    whole, place = whole >> zeros, exponent.astype(np.int64) - _DIGITS + zeros
    lowest = int(place[whole != 0].min(initial=2_000))
    shift = np.where(whole == 0, 0, place - lowest)
    limb, offset = shift // _BITS, shift % _BITS
    low, high = (whole & _LOW) << offset, (whole >> _BITS) << offset
    pieces = (low & _LOW, (low >> _BITS) + (high & _LOW), high >> _BITS)
    sign: Integers = np.where(values < 0, -1, 1)
    parts: list[Integers] = []
    for k in range(int(limb.max(initial=0)) + len(pieces)):
        part: Integers = np.sum([np.where(limb + j == k, piece, 0) for j, piece in enumerate(pieces)], axis=0)
        parts.append(sign * part)
    return Limbs(lowest, _without_zeros(parts))


def _without_zeros(parts: Sequence[Integers]) -> list[Integers]:
    """The limbs without those at the upper end that are zero everywhere, at least one."""
    used = [k for k, part in enumerate(parts) if part.any()]
    return list(parts[: (max(used) if used else 0) + 1])


def total_of(lowest: int, sums: Sequence[Integers]) -> tuple[Doubles, Doubles]:
    """The sum that summed limbs stand for, as a double and what it lacks.

    It is a function of the exact sum alone, and the nearest double, unless the sum lies between two by less than
    2 ** -100 of it. A sum beyond the doubles is infinite.
    """
    parts, carried = [], np.zeros_like(sums[0])
    for part in sums:
        whole = part + carried
        carried = (whole + (1 << (_BITS - 1))) >> _BITS
        parts.append(whole - (carried << _BITS))
    parts.append(carried)
    high, low = np.zeros(len(carried)), np.zeros(len(carried))
    with np.errstate(over="ignore", invalid="ignore"):
        for k in reversed(range(len(parts))):
            high, more = added(high, np.ldexp(parts[k].astype(np.float64), _BITS * k + lowest))
            low += more
        finite = np.isfinite(high)
        high, low = added(high, np.where(finite, low, 0.0))
    return high, np.where(finite, low, 0.0)


def squares_of(values: Doubles) -> tuple[Doubles, Doubles]:
    """The squares of values, exactly: the nearest doubles and what they lack (Dekker 1971)."""
    with np.errstate(over="ignore", invalid="ignore"):
        return _multiplied(values, values)


def deviation_of(count: Integers, values: Limbs, squares: Limbs, errors: Limbs) -> Doubles:
    """The standard deviation of samples by their sizes and by summed limbs; NaN below two values.

    ``squares`` and ``errors`` are summed limbs of both parts of ``squares_of``. n Σx² - (Σx)² is taken in pairs of
    doubles, some 31 digits; where less than a third of them are left, as of equal values, it is taken in fractions.
    """
    size = count.astype(np.float64)
    total, square, error = (total_of(one.lowest, one.parts) for one in (values, squares, errors))
    with np.errstate(all="ignore"):
        whole = _scaled(added(square[0], square[1] + error[0]), size)
        product = _multiplied(total[0], total[0])
        product = added(product[0], product[1] + 2 * total[0] * total[1])
        high, more = added(whole[0], -product[0])
        left = high + (more + (whole[1] - product[1]))
        for point in np.flatnonzero((count > 1) & (left <= _UNSURE * whole[0])).tolist():
            found = (_exactly(squares, point) + _exactly(errors, point)) * int(count[point])
            left[point] = float(found - _exactly(values, point) ** 2)
        return np.where(count > 1, np.sqrt(left / (size * (size - 1))), np.nan)


def _exactly(sums: Limbs, point: int) -> Fraction:
    whole = sum(int(part[point]) << (_BITS * place) for place, part in enumerate(sums.parts))
    return Fraction(whole) * Fraction(2) ** sums.lowest


def added(one: Doubles, two: Doubles) -> tuple[Doubles, Doubles]:
    """A sum and its rounding error (Knuth's two-sum)."""
    both = one + two
    virtual = both - one
    return both, (one - (both - virtual)) + (two - virtual)


def _multiplied(one: Doubles, two: Doubles) -> tuple[Doubles, Doubles]:
    """A product and its rounding error (Dekker's)."""
    product = one * two
    (high, low), (high2, low2) = _halved(one), _halved(two)
    return product, ((high * high2 - product) + high * low2 + low * high2) + low * low2


def _halved(value: Doubles) -> tuple[Doubles, Doubles]:
    scaled = _HALVING * value
    high = scaled - (scaled - value)
    return high, value - high


def _scaled(pair: tuple[Doubles, Doubles], factor: Doubles) -> tuple[Doubles, Doubles]:
    product, error = _multiplied(pair[0], factor)
    return added(product, error + pair[1] * factor)
