"""What all silver tables share: the two clocks and the rules on them."""

from __future__ import annotations

from collections.abc import Sequence

from strata.conf.contracts import Check, Column, Layer, Personal, Table, col, rule

EVENT = col("event_ts", "timestamp", "when it happened, midnight of the bank day where the source has no time")
UNDATED = col("event_ts", "timestamp", "null: the source gives no date", nullable=True)
KNOWN = col("known_ts", "timestamp", "when the bank could first have used it")
KNOWN_AFTER = rule("event_ts IS NULL OR known_ts >= event_ts", "known before it happened")
MONEY = "decimal(18,2)"
RATE = "decimal(9,6)"
CURRENCY = "currency of the bank"


def silver(
    name: str,
    grain: str,
    description: str,
    key: str | Sequence[str],
    columns: Sequence[Column],
    checks: Sequence[Check] = (),
    *,
    dated: bool = True,
    foreseen: bool = False,
) -> Table:
    """A silver table; ``foreseen`` facts, such as due dates, may be known before they happen.

    A key with ``known_ts`` in it keeps every version of a row: a question asked as of a moment takes the latest known.
    """
    return Table(
        name=name,
        layer=Layer.SILVER,
        grain=grain,
        description=description,
        key=(key,) if isinstance(key, str) else tuple(key),
        columns=(*columns, EVENT if dated else UNDATED, KNOWN),
        checks=(*checks, *(() if foreseen else (KNOWN_AFTER,))),
    )


def listed(column: str, *words: str) -> Check:
    """A closed list of words."""
    return rule(f"{column} IN ({', '.join(repr(word) for word in words)})", f"unknown {column.replace('_', ' ')}")


def money(name: str, description: str, *, nullable: bool = False) -> Column:
    """An amount of money."""
    return col(name, MONEY, description, unit=CURRENCY, nullable=nullable)


def person(name: str = "customer_id", description: str = "the customer", *, nullable: bool = False) -> Column:
    """A customer's number."""
    return col(name, "bigint", description, personal=Personal.QUASI, nullable=nullable)


def token(name: str, of: str, *, nullable: bool = False) -> Column:
    """A keyed token of what is delivered in clear."""
    return col(name, "string", f"keyed token of {of}", personal=Personal.QUASI, nullable=nullable)


def optional(name: str, kind: str, description: str, **more: object) -> Column:
    """A column that not every bank delivers."""
    return col(name, kind, description, nullable=True, **more)
