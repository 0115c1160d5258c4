"""Where a geohash lies."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.features.engine.inputs import quoted

BASE32 = "0123456789bcdefghjkmnpqrstuvwxyz"


def with_place(rows: DataFrame, geohash: str, *, letters: int = 7) -> DataFrame:
    """``rows`` with ``lat`` and ``lon`` in degrees, the middle of the cell that ``geohash`` names (Niemeyer 2008).

    Five bits a letter, of longitude and latitude in turn; null for a text of another length.
    """
    letter = [F.substring(quoted(geohash), n + 1, 1) for n in range(letters)]
    places = [F.call_function("instr", F.lit(BASE32), one) - 1 for one in letter]
    whole = F.lit(0).cast("long")
    for place in places:
        whole = whole * 32 + place
    known = F.when(F.length(quoted(geohash)) == letters, whole)
    bits = 5 * letters
    coded = rows.withColumn("_code", known)
    lon, lat = (_scaled(F.col("_code"), list(range(bits - 1 - odd, -1, -2))) for odd in (0, 1))
    return coded.withColumns({"lat": lat * 180 - 90, "lon": lon * 360 - 180}).drop("_code")


def _scaled(code: Column, bits: list[int]) -> Column:
    """The middle of a cell, from 0 to 1, by those bits of the code, the most telling first."""
    value = F.lit(0).cast("long")
    for bit in bits:
        value = value * 2 + F.shiftright(code, bit).bitwiseAND(F.lit(1).cast("long"))
    return (value + 0.5) / 2 ** len(bits)
