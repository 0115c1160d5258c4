"""``point_in_time_join`` against the obvious SQL, and wrong readings that the same cases must find out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import pytest

from strata.features import point_in_time_join
from tests.conftest import in_zone
from tests.naive import HOUR, MICROSECOND, as_kinds, by_spark, by_sql, moment, names, who, with_dates
from tests.property import CASES, Case, Disagreement, Reading, agree, disagreeing

pytestmark = pytest.mark.oracle

SPINE = {"who": "string", "branch": "int", "at": "timestamp"}
STATE = {
    "who": "string",
    "branch": "int",
    "valid_from": "timestamp",
    "valid_to": "timestamp",
    "known_ts": "timestamp",
    "seq": "int",
    "amount": "decimal",
    "ratio": "double",
    "note": "string",
}


@dataclass(frozen=True)
class Variant:
    """The zone and clocks of one call, and which time columns are dates."""

    zone: str
    known: bool = True
    ends: bool = True
    sequence: bool = True
    tolerance: timedelta | None = None
    dates: tuple[str, ...] = ()

    @property
    def kinds(self) -> dict[str, Mapping[str, str]]:
        state = with_dates(STATE, self.dates)
        return {"spine": with_dates(SPINE, self.dates), "grades": state, "limits": state}

    def moment(self, rng: random.Random) -> datetime:
        return moment(rng, self.zone, self.kinds["spine"]["at"])


VARIANTS = [
    Variant("Europe/Prague", known=False, ends=False, sequence=False),
    Variant("Europe/Prague", sequence=False, dates=("valid_from", "valid_to")),
    Variant("America/Sao_Paulo", dates=("at", "known_ts")),
    Variant("Asia/Beirut", tolerance=timedelta(days=2), dates=("at", "valid_from")),
    Variant("Asia/Shanghai", tolerance=timedelta(hours=5, microseconds=1)),
    Variant("Europe/Prague", tolerance=timedelta(days=1, hours=6)),
]


def _naive(variant: Variant) -> str:
    """The contract of ``point_in_time_join`` word for word."""
    tables = [name for name in variant.kinds if name != "spine"]
    return f"""WITH {", ".join(_naive_state(variant, name) for name in tables)}
    SELECT s.*, {", ".join(f'{name}."{column}" AS {name}__{column}' for name in tables for column in ("case", *STATE))}
    FROM spine s {
        " ".join(
            f'LEFT JOIN {name}_held {name} ON {name}."case" = s."case" AND {name}."row" = s."row"' for name in tables
        )
    }"""


def _naive_state(variant: Variant, name: str) -> str:
    known = "AND t.known_ts <= s.at" if variant.known else ""
    settles = [*(["seq"] if variant.sequence else []), *(["known_ts"] if variant.known else []), *STATE]
    ends = "AND (t.valid_to IS NULL OR t.valid_to > t.at)" if variant.ends else ""
    return f"""{name}_started AS (
        SELECT s."row", s.at, t.*, row_number() OVER (
            PARTITION BY s."case", s."row"
            ORDER BY t.valid_from DESC, {", ".join(f't."{column}" DESC NULLS LAST' for column in settles)}) AS place
        FROM spine s JOIN {name} t
          ON s."case" = t."case" AND s.who = t.who AND s.branch = t.branch AND t.valid_from <= s.at {known}),
    {name}_held AS (
        SELECT * FROM {name}_started t WHERE t.place = 1 {ends} {_naive_tolerance(variant.tolerance)})"""


def _naive_tolerance(tolerance: timedelta | None) -> str:
    if tolerance is None:
        return ""
    rest = (tolerance - timedelta(days=tolerance.days)) // MICROSECOND
    return f"""AND t.valid_from >= (t.at - INTERVAL {tolerance.days} DAY)::timestamptz
        - INTERVAL {rest} MICROSECOND"""


def _state(rng: random.Random, variant: Variant, spine: list[tuple]) -> tuple:
    at = rng.choice(spine)[2] or variant.moment(rng)
    old = variant.tolerance or timedelta(days=3)
    edges = (timedelta(0), MICROSECOND, -MICROSECOND, old, old + MICROSECOND, -3 * HOUR)
    start = None if rng.random() < 0.05 else at - rng.choice((*edges, old * rng.random(), old * rng.random()))
    begun = start or at
    return (
        *who(rng),
        start,
        rng.choice((None, None, at, at + MICROSECOND, begun + rng.choice((-1, 0, 5, 40)) * HOUR)),
        rng.choice((begun, begun + rng.choice((-30, 0, 2, 30)) * HOUR, at, at + MICROSECOND, None)),
        rng.choice((None, 1, 1, 2)),
        rng.choice((None, 1, -2)),
        rng.choice((None, float("nan"), 0.0, -0.0, 1.5)),
        rng.choice((None, "", "p", "é")),
    )


def _case(rng: random.Random, variant: Variant) -> Case:
    spine = [(*who(rng), variant.moment(rng)) for _ in range(rng.randrange(1, 4))]
    if rng.random() < 0.2:
        spine.append(("a", 1, None))
    rows = {"spine": spine + spine[:1]}
    for name in ("grades", "limits"):
        rows[name] = [_state(rng, variant, spine) for _ in range(rng.randrange(8))]
        # The same start, and sometimes all clocks, once more, so that versions and ties are common.
        for old in [row for row in rows[name] if rng.random() < 0.3]:
            same = rng.choice((3, 6))
            rows[name].append((*old[:same], *_state(rng, variant, spine)[same:]))
    return {name: as_kinds(rows[name], kinds) for name, kinds in variant.kinds.items()}


@cache
def _cases(variant: Variant, number: int) -> list[Case]:
    rng = random.Random(11)
    return [_case(rng, variant) for _ in range(number)]


def _engine(spark, variant: Variant):
    def compute(tables):
        return point_in_time_join(
            tables.pop("spine"),
            tables,
            key=["case", "who", "branch"],
            at="at",
            valid_from="valid_from",
            known_ts="known_ts" if variant.known else None,
            valid_to="valid_to" if variant.ends else None,
            sequence="seq" if variant.sequence else None,
            tolerance=variant.tolerance,
        )

    return by_spark(spark, variant.kinds, compute)


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_asof_is_what_the_obvious_sql_says(spark, variant):
    naive = by_sql(variant.zone, variant.kinds, _naive(variant))
    with in_zone(spark, variant.zone):
        answers = agree(_cases(variant, CASES), _engine(spark, variant), naive, names(variant.kinds))
    rows = [row for answer in answers for row in answer]
    held = sum(row["grades__valid_from"] is not None for row in rows)
    assert held > CASES / 3 and len(rows) - held > CASES / 3


WRONG = {
    "a state at the moment is too late": ("t.valid_from <= s.at", "t.valid_from < s.at"),
    "known at the moment is too late": ("t.known_ts <= s.at", "t.known_ts < s.at"),
    "known times do not matter": ("AND t.known_ts <= s.at", ""),
    "the end belongs to the state": ("t.valid_to > t.at", "t.valid_to >= t.at"),
    "an open end is an end": ("t.valid_to IS NULL OR", ""),
    "an ended state uncovers an older one": (
        "AND t.known_ts <= s.at",
        "AND t.known_ts <= s.at AND (t.valid_to IS NULL OR t.valid_to > s.at)",
    ),
    "the tolerance is exclusive": ("t.valid_from >= (t.at", "t.valid_from > (t.at"),
    "a day of tolerance is 24 hours": ("INTERVAL 1 DAY", "INTERVAL 24 HOUR"),
    "a missing sequence is the greatest": ('t."seq" DESC NULLS LAST', 't."seq" DESC NULLS FIRST'),
    "sequence does not matter": ('t."seq" DESC NULLS LAST, t."known_ts"', 't."known_ts"'),
    "the first known version counts": ('t."known_ts" DESC', 't."known_ts" ASC'),
    "ties go to the first of all columns": ('t."amount" DESC', 't."amount" ASC'),
    "rows without a state are dropped": ("LEFT JOIN grades_held", "JOIN grades_held"),
}
SMALL = Variant("Europe/Prague", tolerance=timedelta(days=1, hours=5))


def _wrong(what: str) -> tuple[Reading, Reading]:
    sql, (right, wrong) = _naive(SMALL), WRONG[what]
    assert right in sql
    return by_sql(SMALL.zone, SMALL.kinds, sql.replace(right, wrong)), by_sql(SMALL.zone, SMALL.kinds, sql)


@pytest.mark.parametrize("what", WRONG)
def test_asof_cases_tell_each_wrong_reading_from_the_right_one(what):
    assert disagreeing(_cases(SMALL, 600), *_wrong(what)) >= 3


def test_asof_a_wrong_reading_shrinks_to_one_row_and_the_states_that_it_takes():
    with pytest.raises(Disagreement, match="of 600 cases disagree; the first, made small:\nspine\n") as raised:
        agree(_cases(SMALL, 600), *_wrong("an ended state uncovers an older one"), names(SMALL.kinds))
    sizes = [len(rows) for rows in raised.value.case.values()]
    assert (sizes[0], sum(sizes[1:])) == (1, 2)
