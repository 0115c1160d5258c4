"""Unknown tables against a plain Python reading; roles of columns and suspected leaks on data that is known."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from strata.jobs.sources.any_table.csv_types import NULL_WORDS
from strata.jobs.sources.any_table.reading import read_any
from strata.models import fit_binning
from strata.models.samples.screening import profile, roles, suspects

pytestmark = pytest.mark.oracle

GERMAN = Path(__file__).parents[1] / "data" / "german_credit" / "german.csv.gz"
SHARED = Path(__file__).parents[2].parent / "shared" / "data"
POOLS = {
    "integers": ["0", "7", "-12", "+5", "999999999999999999", *NULL_WORDS, ""],
    "reals": ["0", "1.5", "-2e-3", ".5", "5.", "1E400", "inf", "-Infinity", "0.1", "17976931348623157e292", "", "NaN"],
    "codes": ["007", "12", "1", "0", ""],
    "words": ["a", "b;c", "x,y", 'say "so"', "two\nlines", "Ústí", "中文", " padded ", "NA", ""],
    "nearly": ["1", "2.5", "3", "1_000", "0x1f", "1d", "", "five"],
    "days": ["2024-02-29", "1999-12-31", "", "-"],
    "empty": ["", "NULL", "?"],
}


def plain(texts):
    """The column by Python's own numbers: all filled cells are numbers as Python reads them, or it stays text."""
    cells = [None if cell.strip() in ("", *NULL_WORDS) else cell.strip() for cell in texts]
    filled = [cell for cell in cells if cell is not None]
    if filled and all(re.fullmatch(r"\d{4}-\d\d-\d\d", cell) for cell in filled):
        return "date", [cell and pd.Timestamp(cell).date() for cell in cells]
    try:
        numbers = [float(cell.replace("_", "no")) for cell in filled]
    except ValueError:
        numbers = []
    if not numbers or any(re.match(r"[+-]?0\d", cell) for cell in filled):
        return "string", cells
    if all(re.fullmatch(r"[+-]?\d+", cell) for cell in filled):
        return "bigint", [cell and int(cell) for cell in cells]
    return "double", [cell and float(cell) for cell in cells]


@pytest.mark.parametrize("seed", range(4))
def test_types_and_values_are_those_of_plain_python(spark, tmp_path, seed):
    rng = np.random.default_rng(seed)
    kinds = list(rng.choice(list(POOLS), 12))
    made = [[rng.choice(POOLS[kind][: rng.integers(2, 20)]) for _ in range(30)] for kind in kinds]
    columns = [[str(cell) for cell in column] for column in made]
    separator, end = str(rng.choice([";", ",", "\t"])), str(rng.choice(["\n", "\r\n"]))
    text = io.StringIO()
    quoting = [csv.QUOTE_MINIMAL, csv.QUOTE_ALL][seed % 2]
    writer = csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow([f"c{i}" for i in range(len(columns))])
    writer.writerows([str(i), *row][1:] for i, row in enumerate(zip(*columns, strict=True)))
    path = tmp_path / "t.csv"
    path.write_bytes(text.getvalue().encode())
    table = read_any(spark, path)
    rows = table.rows.collect()
    for i, texts in enumerate(columns):
        kind, expected = plain(texts)
        assert table.rows.dtypes[i] == (f"c{i}", kind), texts
        assert [row[i] for row in rows] == expected, kinds[i]


def test_profiles_are_those_of_pandas(spark):
    rng = np.random.default_rng(3)
    n = 20_000
    frame = pd.DataFrame(
        {
            "bad": rng.integers(0, 2, n),
            "real": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "code": rng.integers(0, 3000, n),
            "zero": np.where(rng.random(n) < 0.5, 0.0, -0.0),
            "text": rng.choice(["a", "b", None], n),
            "key": [f"k{i}" for i in range(n)],
        }
    )
    frame["echo"] = np.where(frame["bad"] == 1, "late", None)
    rows = spark.createDataFrame(frame).repartition(3).withColumn("flag", F.col("code") > 5)
    found = {one.name: one for one in profile(rows, rows.columns, outcome=F.col("bad"))}
    for name in frame.columns:
        one, column = found[name], frame[name]
        assert one.filled == column.notna().sum() and one.constant == (column.nunique() < 2)
        assert one.distinct == pytest.approx(column.nunique(), rel=0 if column.nunique() < 4000 else 0.06)
        assert one.tells == (name in ("bad", "echo"))
    assert (found["code"].low, found["code"].high) == (frame["code"].min(), frame["code"].max())
    assert {name for name, one in found.items() if one.integers} == {"bad", "code", "zero"}
    assert {name: one.kind for name, one in found.items() if one.kind != "number"} == {
        "text": "text", "key": "text", "echo": "text", "flag": "boolean",
    }  # fmt: skip
    with pytest.raises(ValueError, match="columns: 'l' is array<int>; only numbers, text"):
        profile(spark.sql("SELECT array(1) AS l"), ["l"])


@pytest.fixture(scope="module")
def unknown(spark):
    """A table with one column of every part."""
    n, rng = 400, np.random.default_rng(1)
    bad = rng.integers(0, 2, n)
    frame = pd.DataFrame(
        {
            "bad": bad,
            "loan_no": rng.choice(10**9, n, replace=False),
            "row": np.arange(n) + 17,
            "contract": [f"C{i * 7919 % 100_003}" for i in range(n)],
            "amount": np.round(rng.gamma(2, 5000, n), 2),
            "whole_amount": rng.choice(10**7, n, replace=False),
            "opened_date": rng.integers(20200101, 20201231, n),
            "day": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 90, n), "D"),
            "one": 1,
            "marked": np.where(rng.random(n) < 0.5, "x", None),
            "good": 1 - bad,
            "word": np.where(bad == 1, "default", "paid"),
            "wt": rng.random(n),
            "client": rng.integers(0, 50, n),
            "gone": rng.normal(size=n),
        }
    )
    return spark.createDataFrame(frame).withColumn("void", F.lit(None).cast("string")).coalesce(1).cache()


def test_every_column_has_a_part_and_a_reason(unknown):
    profiles = profile(unknown, unknown.columns, outcome=F.col("bad"))
    names = {name: name for name in unknown.columns} | {"word": "Word "}
    options = {"target": "bad", "weight": "wt", "group": "client", "exclude": ["gone"]}
    found = roles(profiles, names, 400, **options)
    assert found.features == ("amount", "whole_amount", "marked")
    assert found.disguises == ("good", "word")
    disguise = "is the target in other words: goods all have one value, bads all have another"
    key = "is an identifier: about 400 of 400 values are different"
    assert found.reasons == {
        "bad": "'bad' is the target",
        "loan_no": f"'loan_no' {key}",
        "row": f"'row' {key}",
        "contract": f"'contract' {key}",
        "opened_date": "'opened_date' is a date; name it with --time to test on the latest rows",
        "day": "'day' is a date; name it with --time to test on the latest rows",
        "one": "'one' has one value in all rows",
        "good": f"'good' {disguise}",
        "word": f"'Word ' {disguise}",
        "wt": "'wt' is the weight of the row",
        "client": "'client' is the group whose rows stay together",
        "gone": "'gone' is excluded by name",
        "void": "'void' is missing in all rows",
    }
    assert {*found.features, *found.reasons} == set(unknown.columns)
    given = roles(profiles, names, 400, target="bad", time="day", id="client", group="client", exclude=["good", "word"])
    assert given.reasons["client"] == "'client' is the identifier" and given.disguises == ()
    assert given.reasons["opened_date"] == "'opened_date' is a date"


def test_wrong_parts_are_refused(unknown):
    profiles = profile(unknown.limit(90), unknown.columns)
    for wrong, message in (
        ({"target": "nope"}, "target: there is no column 'nope'; there are bad, loan_no"),
        ({"target": "bad", "id": "bad"}, "id: 'bad' is the target already; name another column"),
        ({"target": "bad", "exclude": ["bad"]}, "exclude: 'bad' is the target already"),
    ):
        with pytest.raises(ValueError, match=message):
            roles(profiles, {}, 90, **wrong)
    few = roles(profiles, {}, 90, target="bad")
    assert {"loan_no", "contract"} <= set(few.features), "90 rows are too few to call a column an identifier"
    with pytest.raises(ValueError, match="features: no column is left; 'bad' is the target; 'one' has one value"):
        roles([one for one in profiles if one.name in ("bad", "one")], {}, 90, target="bad")


@pytest.fixture(scope="module")
def leaky(spark):
    n, rng = 3000, np.random.default_rng(2)
    bad = (rng.random(n) < 0.2).astype(int)
    noise = rng.normal(size=n)
    frame = pd.DataFrame(
        {
            "bad": bad,
            "copy": bad,
            "inverse": 1 - bad,
            "recoded": np.where(bad == 1, "written off", "open"),
            "recovered": bad * (1 + rng.random(n)),
            "days_late": noise + 3 * bad,
            "honest": noise + 0.9 * bad,
            "random": rng.normal(size=n),
            "lawyer": np.where((bad == 1) & (rng.random(n) < 0.3), rng.random(n), np.nan),
            "closed": np.where((bad == 0) & (rng.random(n) < 0.3), "yes", None),
            "not_asked": np.where((bad == 1) & (rng.random(n) < 0.3), np.nan, noise),
            "gaps": np.where(rng.random(n) < 0.3, np.nan, noise),
        }
    )
    return frame, spark.createDataFrame(frame).coalesce(1).cache()


def suspected(rows, target, features, **options):
    binning = fit_binning(rows, target=target, features=features, **options)
    first = next(iter(binning.features.values()))
    return binning, {one.feature: one for one in suspects(binning, sum(first.good), sum(first.bad))}


def test_leaks_are_named_and_honest_features_are_not(leaky):
    frame, rows = leaky
    binning, found = suspected(rows, "bad", [name for name in frame.columns if name != "bad"])
    assert {name: one.kind for name, one in found.items()} == {
        "copy": "target in disguise",
        "inverse": "target in disguise",
        "recoded": "target in disguise",
        "recovered": "target in disguise",  # 0 for every good, from 1 up for every bad: an edge at 1 parts them all
        "days_late": "implausible power",
        "lawyer": "filled by outcome",
        "closed": "filled by outcome",
        "not_asked": "missing by outcome",
    }
    woes = binning.transform(rows).toPandas()
    area = roc_auc_score(woes["bad"], -woes["days_late_woe"])
    assert f"'days_late' alone has AUC {area:.3f}, DeLong 95 % from 0.9" in found["days_late"].sentence
    count = frame["lawyer"].notna().sum()
    words = f"'lawyer' is filled for one outcome: {count} of the {count} rows where it is filled are bad"
    assert found["lawyer"].sentence == f"{words}; was it written after the outcome?"


@pytest.mark.parametrize(
    ("filled", "rest", "named"),
    [
        ((0, 30), (800, 170), True),
        ((0, 29), (800, 171), False),  # too few rows
        ((1, 99), (700, 200), True),
        ((2, 98), (700, 200), False),  # below 99 %
        ((0, 100), (0, 900), False),  # the others aren't mixed
        ((100, 0), (870, 30), False),  # a safe book: by chance
        ((9_950, 50), (87_300, 2_700), False),  # not by chance, but the bads are only six times rarer
        ((9_980, 20), (87_300, 2_700), True),
    ],
)
def test_the_edges_of_filling(leaky, filled, rest, named):
    _, rows = leaky
    binned = fit_binning(rows, target="bad", features=["lawyer"], max_bins=1).features["lawyer"]
    assert binned.bins.ordinary == 1
    goods, bads = zip(filled, rest, strict=True)
    binning = type(fit_binning(rows, target="bad", features=["random"], max_bins=1))(
        {"lawyer": replace(binned, good=goods, bad=bads, woe=(-1.0, 1.0))}
    )
    found = suspects(binning, sum(goods), sum(bads))
    assert [one.kind for one in found if "by outcome" in one.kind] == (["filled by outcome"] if named else [])
    if named:
        k, base = max(filled), rest[filled.index(max(filled))] / sum(rest)
        assert binom.sf(k - 1, sum(filled), base) < 1e-6 and math.isfinite(base)


def test_german_credit_has_no_leak(spark):
    table = read_any(spark, GERMAN)
    bad = F.col("creditability") == "bad"
    profiles = profile(table.rows, table.rows.columns, outcome=bad.cast("int"))
    found = roles(profiles, table.names, 1000, target="creditability")
    assert len(found.features) == 20 and list(found.reasons) == ["creditability"]
    assert suspected(table.rows, "creditability", found.features, event="bad")[1] == {}


@pytest.mark.skipif(not SHARED.exists(), reason="the bank marketing and HELOC data are not on this machine")
def test_bank_marketing_has_one_leak_and_heloc_none(spark):
    bank = read_any(spark, SHARED / "bank_marketing" / "bank-additional-full.csv.gz").rows
    features = [name for name in bank.columns if name != "y"]
    assert list(suspected(bank, "y", features, event="yes")[1]) == ["duration"]
    train = bank.sample(0.7, seed=1)
    assert list(suspected(train, "y", ["duration", "euribor3m", "pdays"], event="yes")[1]) == ["duration"]
    heloc = read_any(spark, SHARED / "heloc" / "heloc.csv.gz").rows
    target, *features = heloc.columns
    assert suspected(heloc, target, features, special_values=[-7, -8, -9])[1] == {}
