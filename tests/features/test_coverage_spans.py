"""Whole history: spans that overlap, adjoin or leave a hole."""

from __future__ import annotations

from datetime import date

from strata.features.store.coverage import with_whole_history


def test_spans_are_walked(spark):
    day = date.fromisoformat
    coverage = spark.createDataFrame(
        [
            (1, day("2000-01-01"), day("2000-02-01")),
            (1, day("2000-02-01"), day("2000-03-01")),
            (2, day("2000-01-01"), day("2000-02-01")),
            (2, day("2000-02-02"), day("2000-03-01")),
            (3, day("2000-01-10"), day("2000-03-01")),
            (5, day("2000-01-01"), day("2000-01-20")),
            (5, day("1999-01-01"), day("2000-12-01")),
        ],
        "id long, covered_from date, covered_to date",
    )
    asked = [(key, day("2000-01-01"), day("2000-03-01")) for key in (1, 2, 3, 4, 5, 1)]
    asked += [(4, day("2000-01-01"), day("2000-01-01")), (1, None, day("2000-03-01"))]
    spine = spark.createDataFrame(asked, "id long, opened_on date, asked_on date")
    rows = with_whole_history(spine, coverage, key="id", since="opened_on", until="asked_on").collect()
    found = sorted((r.id, str(r.opened_on), str(r.asked_on), r.has_whole_history) for r in rows)
    assert found == sorted(
        [
            (1, "2000-01-01", "2000-03-01", True),
            (1, "2000-01-01", "2000-03-01", True),
            (1, "None", "2000-03-01", False),
            (2, "2000-01-01", "2000-03-01", False),
            (3, "2000-01-01", "2000-03-01", False),
            (4, "2000-01-01", "2000-01-01", True),
            (4, "2000-01-01", "2000-03-01", False),
            (5, "2000-01-01", "2000-03-01", True),
        ]
    )
