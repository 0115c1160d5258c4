"""Geohashes against a walk that halves the world letter by letter."""

from __future__ import annotations

import random

import pytest
from pyspark.sql import SparkSession

from strata.features.engine.geohash import BASE32, with_place


def middle(geohash: str) -> tuple[float, float]:
    """Latitude and longitude of a cell's middle, by halving the span of each in turn."""
    spans = {"lat": [-90.0, 90.0], "lon": [-180.0, 180.0]}
    bits = "".join(f"{BASE32.index(letter):05b}" for letter in geohash)
    for place, bit in enumerate(bits):
        span = spans["lon" if place % 2 == 0 else "lat"]
        span[int(bit == "0")] = sum(span) / 2
    return sum(spans["lat"]) / 2, sum(spans["lon"]) / 2


def test_cells_lie_where_the_halving_says(spark: SparkSession):
    rng = random.Random(7)
    known = ["u2fkbnh", *("".join(rng.choices(BASE32, k=7)) for _ in range(200))]
    rows = spark.createDataFrame([(one,) for one in known], "geohash7 string")
    found = {row["geohash7"]: (row["lat"], row["lon"]) for row in with_place(rows, "geohash7").collect()}
    for one in known:
        assert found[one] == pytest.approx(middle(one), abs=1e-9)
    # Prague's Old Town, as any map of geohashes shows it.
    assert middle("u2fkbnh") == pytest.approx((50.087, 14.421), abs=0.01)


def test_a_text_of_another_length_lies_nowhere(spark: SparkSession):
    rows = spark.createDataFrame([("u2f",), (None,)], "geohash7 string")
    assert [(row["lat"], row["lon"]) for row in with_place(rows, "geohash7").collect()] == [(None, None)] * 2
