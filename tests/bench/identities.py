"""Part identities: second records of the simulated bank's people, and records that only look so, as of two days.

What is planted is data entry as it happens: each story is drawn among the people and opened on a day of its own, with
what the first record held on that day. None of it is taken from the rules that are to find it.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from functools import partial, reduce
from pathlib import Path

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.graph.fraud.identity import identity_evidence, identity_history, rekey, resolve_identities
from strata.jobs.runtime.session import open_session
from strata.jobs.table_catalog import lake_at
from tests.bench.bank import prepared, settings_of
from tests.bench.kept import HERE, RESULTS, Measurement, apart, kept, stamp_of, table, write
from tests.bench.meter import metered

CUSTOMERS = 10_000
MOMENTS = ("2026-01-01", "2027-01-01")
# Records are opened from a month after the first delivery on, the last one a month before the last moment.
FIRST, DAYS = "2025-02-01", 670
SECOND = 10**15
ID, PHONE, BIRTH, HOME = HELD = ("id_hash", "phone_hash", "birth_date", "home_address_hash")


@dataclass(frozen=True)
class Story:
    """How another record came about: which of ``HELD`` are those of the first, which are its own; it has no others.

    ``share``: of a thousand people; ``same``: whether both are one person; ``later``: after so many days it says
    ``then``, by column whether the first one's or its own, for a correction from the same day on (``corrects``).
    """

    name: str
    same: bool
    share: int
    first: tuple[str, ...]
    own: tuple[str, ...] = ()
    later: int = 0
    then: dict[str, str] = field(default_factory=dict)
    corrects: bool = False


STORIES = (
    Story("with the ID card again, moved, another phone", True, 30, (ID, BIRTH), (PHONE, HOME)),
    Story("without an ID card", True, 30, (PHONE, BIRTH, HOME)),
    Story("without an ID card, number checked 60 days later", True, 30, (BIRTH,), (PHONE, HOME), 60, {ID: "first"}),
    Story("without an ID card, moved, another phone", True, 10, (BIRTH,), (PHONE, HOME)),
    Story("a digit of the ID number mistyped", True, 10, (PHONE, BIRTH, HOME), (ID,)),
    Story("a twin with the family's phone", False, 10, (PHONE, BIRTH, HOME), (ID,)),
    Story("a parent or child without an ID card, with the family's phone", False, 20, (PHONE, HOME), (BIRTH,)),
    Story("a stranger who was given the phone's number", False, 30, (PHONE,), (ID, BIRTH, HOME)),
    Story("another's ID number keyed in, put right 30 days later", False, 20, (ID,), (PHONE, BIRTH, HOME), 30,
          {ID: "own"}, corrects=True),
)  # fmt: skip


def run() -> None:
    """Measure what is missing, then print and keep the table."""
    root = HERE.parents[1] / "graph"
    parts = ("ties/dated_edges", "communities/groups", "algorithms/components", "algorithms/solvers", "fraud/identity")
    code = [*(root / f"{part}.py" for part in parts), Path(__file__)]
    found = kept(RESULTS / "identities.json", stamp_of(*code), partial(apart, "identities", CUSTOMERS))
    text = identities_table(found)
    (RESULTS / "identities.md").write_text(text)
    print(text)


def measure(customers: int) -> Measurement:
    """All figures."""
    prepared(customers)
    settings = settings_of(customers)
    spark = open_session(settings)
    first = lake_at(spark, settings.lake).read("customer").select("customer_id", "valid_from", "known_ts", *HELD)
    planted = second_records(first).localCheckpoint()
    noted = first.unionByName(planted.select(*first.columns)).localCheckpoint()
    stories = planted.select("customer_id", "story", "first_id").distinct().toPandas()
    answers, moments = [], []
    for at in MOMENTS:
        with metered(spark) as reading:
            answers.append(resolve_identities(noted, at).localCheckpoint())
        who = answers[-1].select("customer_id", "person_id").toPandas()
        verdicts = identity_evidence(noted, at).select("customer_id", "verdict").distinct().toPandas()
        persons = rekey(answers[-1].select("customer_id"), answers[-1]).distinct().count()
        moments.append({"at": at, "seconds": reading.seconds, "persons": persons, **judged(who, verdicts, stories)})
    history = identity_history(answers[1], answers[0], pd.Timestamp(MOMENTS[1]).date()).groupBy("kind").count()
    moves = {row["kind"]: row["count"] for row in history.collect()}
    return {"people": first.select("customer_id").distinct().count(), "moments": moments, "moves": moves}


def second_records(first: DataFrame) -> DataFrame:
    """Versions of planted records: customer_id, valid_from, known_ts and ``HELD``; story (its place), first_id."""
    people = first.select("customer_id").distinct()
    drawn = F.pmod(F.xxhash64("customer_id", F.lit("story")), F.lit(1000))
    day = F.date_add(F.lit(FIRST), F.pmod(F.xxhash64("customer_id", F.lit("day")), F.lit(DAYS)).cast("int"))
    bounds = [sum(one.share for one in STORIES[:place]) for place in range(len(STORIES) + 1)]
    story = F.coalesce(
        *(F.when(drawn.between(low, high - 1), place) for place, (low, high) in enumerate(zip(bounds, bounds[1:])))
    )
    chosen = people.select("customer_id", story.alias("story"), day.alias("day")).where("story IS NOT NULL")
    # What the first record says on that day: the newest period, and of it the version known last.
    known = first.join(chosen, "customer_id", "inner").where("known_ts < day AND valid_from <= day")
    said = known.groupBy("customer_id", "story", "day").agg(
        F.max_by(F.struct(*HELD), F.struct("valid_from", "known_ts")).alias("said")
    )
    return reduce(DataFrame.unionByName, [_versions(said, place) for place in range(len(STORIES))])


def _versions(said: DataFrame, place: int) -> DataFrame:
    story = STORIES[place]
    opened = _version(said, story, place, {}, F.col("day"), F.col("day"))
    if not story.then:
        return opened
    known = F.date_add("day", story.later)
    return opened.unionByName(
        _version(said, story, place, story.then, F.col("day") if story.corrects else known, known)
    )


def _version(
    said: DataFrame, story: Story, place: int, then: dict[str, str], begins: Column, known: Column
) -> DataFrame:
    sources = {**dict.fromkeys(story.first, "first"), **dict.fromkeys(story.own, "own"), **then}
    return said.where(F.col("story") == place).select(
        (F.col("customer_id") + SECOND).alias("customer_id"), begins.alias("valid_from"),
        known.cast("timestamp").alias("known_ts"), *(_value(column, sources.get(column)) for column in HELD),
        "story", F.col("customer_id").alias("first_id"),
    )  # fmt: skip


def _value(column: str, source: str | None) -> Column:
    """The first record's, one of its own (a date some 20 years off, a token that nobody has), or none."""
    first = F.col(f"said.{column}")
    own = F.date_add(first, 7_000) if column == BIRTH else F.concat(F.lit("own "), F.col("customer_id").cast("string"))
    return {"first": first, "own": own}.get(source or "", F.lit(None)).alias(column)


def judged(who: pd.DataFrame, verdicts: pd.DataFrame, stories: pd.DataFrame) -> Measurement:
    """By story: records known, those told to be the first one's person; of all pairs told, how many truly are."""
    person = who.set_index("customer_id")["person_id"]
    known = stories[stories["customer_id"].isin(person.index)]
    told = person.loc[known["customer_id"]].to_numpy() == person.loc[known["first_id"]].to_numpy()
    left = set(verdicts.loc[verdicts["verdict"].isin(("contested", "doubtful")), "customer_id"])
    rows = known.assign(told=told, left=known["customer_id"].isin(left) & ~told).groupby("story")
    sizes = person.value_counts()
    return {
        "stories": {
            STORIES[place].name: [len(some), int(some["told"].sum()), int(some["left"].sum())] for place, some in rows
        },
        "pairs_told": int((sizes * (sizes - 1) // 2).sum()),
        "pairs_rightly": int(told[[STORIES[place].same for place in known["story"]]].sum()),
        "pairs_true": int(sum(STORIES[place].same for place in known["story"])),
    }


def identities_table(found: Measurement) -> str:
    """A row a story, the whole, and what changed between the moments."""
    rows = []
    for story in STORIES:
        cells = [one["stories"].get(story.name, [0, 0, 0]) for one in found["moments"]]
        shown = [f"{told} of {known}" + (f", {left} contested" if left else "") for known, told, left in cells]
        rows.append([story.name, "one" if story.same else "two", *shown])
    wholes = [
        f"As of {one['at']}: {one['persons']:,} persons; {one['pairs_rightly']} of {one['pairs_told']} pairs told are "
        f"one person (precision {one['pairs_rightly'] / max(one['pairs_told'], 1):.3f}), of {one['pairs_true']} "
        f"true ones (recall {one['pairs_rightly'] / max(one['pairs_true'], 1):.3f}); {one['seconds']:.0f} s."
        for one in found["moments"]
    ]
    moves = ", ".join(f"{count} {kind}" for kind, count in sorted(found["moves"].items())) or "nothing"
    body = table(["the other record", "persons", *(f"told one as of {one['at']}" for one in found["moments"])], rows)
    return f"""# Which records are one person

{found["people"]:,} people of the simulated bank, to some of whom a second record is added (`identities.py`), opened on
days over two years. "Contested": left apart because what else is known of them differs.

{body}
{" ".join(wholes)} Between the two moments, of records that both know: {moves}.
"""


if __name__ == "__main__":
    write(Path(sys.argv[2]), measure(int(sys.argv[1])))
