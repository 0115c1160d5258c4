"""Whether two peers gave the same answers: checksums that a value on the wrong row changes too."""

from __future__ import annotations

from pathlib import Path

import duckdb

# A row weighs between 1 and this prime, by its number.
WEIGHTS = 1009
# Of the sum of magnitudes: more than means differ that are rounded to six decimals, less than one wrong value.
TOLERANCE = 1e-9
Checks = dict[str, tuple[int, float, float]]


def checks(output: Path) -> Checks:
    """Of each column of answers: values that are there, their weighted sum, and that of their magnitudes."""
    files = f"{output}/*.parquet" if output.is_dir() else str(output)
    rows = duckdb.sql(f"SELECT * FROM read_parquet('{files}')")
    kinds = dict(zip(rows.columns, (str(kind) for kind in rows.types)))
    weight = f"(row % {WEIGHTS} + 1)"
    found: Checks = {}
    for name, kind in kinds.items():
        if name in ("customer_id", "at"):
            continue
        number = f"ascii({name})" if kind == "VARCHAR" else f"CAST({name} AS DOUBLE)"
        sums = rows.aggregate(f"count({name}), {_total(f'{number} * {weight}')}, {_total(f'abs({number}) * {weight}')}")
        found[name] = sums.fetchall()[0]
    return found


def _total(expression: str) -> str:
    return f"coalesce(sum({expression}), CAST(0 AS DOUBLE))"


def differing(one: Checks, other: Checks) -> list[str]:
    """The columns whose checksums differ, or that only one has."""
    shared = one.keys() & other.keys()
    return sorted((one.keys() ^ other.keys()) | {name for name in shared if not _alike(one[name], other[name])})


def _alike(one: tuple[int, float, float], other: tuple[int, float, float]) -> bool:
    return one[0] == other[0] and abs(one[1] - other[1]) <= TOLERANCE * one[2]
