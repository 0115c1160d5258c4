"""The search for the smallest failing case, with readings in plain Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.property import Disagreement, agree, disagreeing, shrunk

COLUMNS = {"spine": ["who", "at"], "events": ["who", "ts", "amount", "tag"]}
NOON = datetime(2024, 3, 1, 12, 34, 56, 789, tzinfo=UTC)
CASE = {
    "spine": [("a", NOON), ("b", NOON), (None, None)],
    "events": [("b", NOON + timedelta(hours=hours), 7.5, "x") for hours in (-50, -2, 0, 1)] + [("a", NOON, None, "y")],
}
QUIET = {"spine": CASE["spine"], "events": CASE["events"][:1]}


def _sums(counts):
    """A reading of cases: for each spine row the sum over its key's events whose age in time ``counts``."""

    def read(cases):
        return [
            [
                {
                    "amount_sum": sum(
                        e[2] or 0 for e in case["events"] if e[0] == who and at and e[1] and counts(at, e[1])
                    )
                }
                for who, at in case["spine"]
            ]
            for case in cases
        ]

    return read


BEFORE, UP_TO = _sums(lambda at, ts: ts < at), _sums(lambda at, ts: ts <= at)


def test_property_gives_the_expected_answers_when_both_readings_agree():
    assert agree([QUIET, QUIET], UP_TO, BEFORE, COLUMNS)[1] == [
        {"amount_sum": 0},
        {"amount_sum": 7.5},
        {"amount_sum": 0},
    ]
    assert disagreeing([QUIET, CASE, QUIET], UP_TO, BEFORE) == 1


def test_property_shows_the_smallest_case_and_what_differs():
    with pytest.raises(Disagreement) as raised:
        agree([QUIET, CASE, QUIET, CASE], UP_TO, BEFORE, COLUMNS)
    assert str(raised.value) == (
        "2 of 4 cases disagree; the first, made small:\n"
        "spine\n"
        "  who | at\n"
        "  b   | 2024-03-01 12:34:56.000789+00:00\n"
        "events\n"
        "  who | ts                               | amount | tag\n"
        "  b   | 2024-03-01 12:34:56.000789+00:00 | 1.0    | null\n"
        "row 0, amount_sum: expected 0, got 1.0"
    )


def test_property_shrinks_to_the_pair_that_only_together_fails_and_to_plain_values():
    small = shrunk(CASE, _sums(lambda at, ts: True), _sums(lambda at, ts: ts < at - timedelta(hours=1)))
    assert small["spine"] == [("b", NOON.replace(hour=0, minute=0, second=0, microsecond=0))]
    assert [row[2:] for row in small["events"]] == [(1.0, None)]


def test_property_a_lost_row_is_a_disagreement():
    def lossy(cases):
        return [[answer for answer in answers if answer["amount_sum"]] for answers in BEFORE(cases)]

    with pytest.raises(Disagreement, match="rows: expected 1, got 0") as raised:
        agree([QUIET], lossy, BEFORE, COLUMNS)
    assert raised.value.case == {"spine": [(None, None)], "events": []}


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (float("nan"), float("nan"), True),
        (0.0, -0.0, True),
        (None, 0, False),
        (float("nan"), None, False),
        (1, "1", False),
    ]
    + [(float("inf"), float("inf"), True), (1.0, 1.0 + 1e-12, True), (1.0, 1.001, False), ("a", "a", True)],
)
def test_property_values_are_the_same_up_to_the_last_digits_of_doubles(left, right, same):
    assert disagreeing([{}], lambda cases: [[{"x": left}]], lambda cases: [[{"x": right}]]) == (not same)
