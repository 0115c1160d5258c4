"""One answer in four forms: Spark, SQL, JSON read back, and a plain Python walk over the points table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from strata.models import Binning, Scorecard, ScorecardSpec, fit_binning, fit_scorecard

ODD = ["a.b", "with space", 'quo"te`s', "it's", "grün"]
NUMBER, CODE, TEXT, FLAG, AMOUNT = ODD
SCHEMA = (
    f'id int, bad int, `{NUMBER}` double, `{CODE}` int, `quo"te``s` string, `{FLAG}` boolean, `{AMOUNT}` decimal(12,2)'
)


def training_rows():
    rng = np.random.default_rng(5)
    rows = []
    for i in range(1500):
        x = rng.choice([rng.normal(), np.nan, -999.0, np.inf, -np.inf], p=[0.85, 0.05, 0.06, 0.02, 0.02])
        code = None if rng.random() < 0.05 else int(rng.integers(0, 9))
        text = rng.choice(
            ["alpha", "be'ta", "back\\slash", "rare1", "rare2", "NA"], p=[0.4, 0.3, 0.2, 0.02, 0.02, 0.06]
        )
        flag, amount = bool(rng.random() < 0.5), f"{rng.integers(0, 5000) / 7:.2f}"
        good = (np.clip(x, -2, 2) if np.isfinite(x) else 0.5) + (code or 3) / 5 + (text == "alpha") + flag
        bad = int(rng.random() < 1 / (1 + np.exp(good)))
        rows.append((i, bad, None if rng.random() < 0.05 else float(x), code, str(text), flag, amount))
    return rows


@pytest.fixture(scope="module")
def data(spark):
    columns = ["id", "bad", *ODD]
    raw = spark.createDataFrame(training_rows(), "id int, bad int, a double, b int, c string, d boolean, e string")
    amount = raw.e.cast("decimal(12,2)")
    return raw.select("id", "bad", "a", "b", "c", "d", amount.alias("e")).toDF(*columns).coalesce(1).cache()


@pytest.fixture(scope="module")
def card(data):
    specials = {NUMBER: [-999], TEXT: ["NA"]}
    return fit_scorecard(data, ScorecardSpec("bad", ODD, special_values=specials, max_p_value=0.2, reasons=3))


@pytest.fixture(scope="module")
def awkward(spark, card, data):
    """Every edge and its neighbours, infinities, NaN, nulls, specials, unseen levels."""
    edges = [edge for b in card.kept.values() for edge in b.bins.edges]
    near = [f for edge in edges for f in (edge, math.nextafter(edge, -math.inf), math.nextafter(edge, math.inf))]
    numbers = [*near, math.inf, -math.inf, math.nan, None, -999.0, 0.0, -0.0, 1e300]
    texts = ["alpha", "be'ta", "back\\slash", "rare1", "NA", "never seen", "", None, "ALPHA"]
    rows = []
    for i in range(max(len(numbers), 40)):
        x = numbers[i % len(numbers)]
        rows.append(
            (i, x, None if i % 7 == 0 else i % 12 - 2, texts[i % 9], [True, False, None][i % 3], f"{i * 13}.50")
        )
    raw = spark.createDataFrame(rows, "id int, a double, b int, c string, d boolean, e string")
    return raw.withColumn("e", raw.e.cast("decimal(12,2)")).toDF("id", *ODD).coalesce(1).cache()


def by_hand(card, row):
    """Points and losses of one row by the plain meaning of the bins."""
    total, losses = card.points.base, []
    for turn, (name, binned) in enumerate(card.kept.items()):
        bins, value = binned.bins, row[name]
        value = float(value) if bins.kind == "number" and value is not None else value
        if value is None or (isinstance(value, float) and math.isnan(value)):
            code = bins.missing
        elif value in bins.specials:
            code = bins.ordinary + bins.specials.index(value)
        elif bins.kind == "number":
            ends = [-math.inf, *bins.edges, math.inf]
            code = next(i for i, (a, b) in enumerate(zip(ends, ends[1:])) if a <= value < b or b == math.inf)
        else:
            unseen = bins.size - 1 if bins.rest is None else bins.rest
            code = next((i for i, levels in enumerate(bins.groups) if value in levels), unseen)
        points = card.points.by_feature[name]
        best = max(p for p, g, b in zip(points, binned.good, binned.bad) if g + b > 0)
        total += points[code]
        losses.append((-(best - points[code]), turn, name))
    reasons = [name for loss, _, name in sorted(losses) if loss < 0][: card.reasons]
    risk = 1 / (1 + math.exp((total - card.scale.offset) / card.scale.factor))
    grade = next(name for name, limit in card.scale.grades if risk <= limit)
    return total, risk, grade, *reasons, *[None] * (card.reasons - len(reasons))


def answers(rows):
    names = ["score", "probability", "grade", "reason_1", "reason_2", "reason_3"]
    return {row["id"]: tuple(row[name] for name in names) for row in rows.collect()}


def test_all_forms_agree_row_for_row(spark, card, data, awkward):
    assert len(card.features) >= 4, "the test data must exercise numbers, codes and texts"
    again = Scorecard.from_json(card.to_json())
    for rows in (awkward, data.drop("bad")):
        rows.createOrReplaceTempView("awkward_rows")
        ours = answers(card.score(rows))
        assert answers(spark.sql(f"SELECT id, {card.to_sql()} FROM awkward_rows")) == ours
        assert answers(again.score(rows)) == ours
        local = card.score_pandas(rows.toPandas().set_index("id"))
        assert {i: int(s) for i, s in local["score"].items()} == {i: a[0] for i, a in ours.items()}
        assert dict(local["grade"].items()) == {i: a[2] for i, a in ours.items()}
        for row in rows.collect():
            expected = by_hand(card, row)
            assert ours[row["id"]][0] == expected[0] and ours[row["id"]][2:] == expected[2:], row
            assert ours[row["id"]][1] == pytest.approx(expected[1], rel=1e-12)


def test_a_table_that_has_a_score_of_its_own_is_not_misread(spark, card, awkward):
    awkward.selectExpr("*", "-1 AS probability", "-1 AS score").createOrReplaceTempView("scored_before")
    fresh = spark.sql(
        f"SELECT id, s.* FROM (SELECT id AS i, {card.to_sql()} FROM scored_before) s JOIN scored_before ON i = id"
    )
    ours = {i: a[:1] for i, a in answers(card.score(awkward)).items()}
    assert {r["id"]: (r["score"],) for r in fresh.select("id", "score").collect()} == ours
    with pytest.raises(ValueError, match="'score'"):
        card.score(awkward.selectExpr("*", "1 AS score"))


def test_transform_gives_the_woe_of_the_table(card, data):
    binning = Binning.from_json(card.binning.to_json())
    assert binning == card.binning
    rows = binning.transform(data).toPandas()
    for name, binned in binning.features.items():
        shown = binned.table()
        found = rows.groupby(f"{name}_woe")["bad"].agg(["size", "sum"])
        expected = shown.groupby("woe")[["count", "count_bad"]].sum()
        np.testing.assert_array_equal(found.index, expected.index)
        np.testing.assert_array_equal(found.to_numpy(), expected.to_numpy())


def test_counts_and_values_are_those_of_the_rows(data):
    binning = fit_binning(data, target="bad", features=ODD, special_values={NUMBER: [-999], TEXT: ["NA"]})
    rows = data.toPandas()
    goods, bads = (rows["bad"] == 0).sum(), (rows["bad"] == 1).sum()
    number = binning.table(NUMBER).set_index("bin")
    assert number.loc["missing", "count"] == rows[NUMBER].isna().sum()
    assert number.loc["special -999", "count"] == (rows[NUMBER] == -999).sum()
    for name in ODD:
        table = binning.table(name)
        assert table["count"].sum() == 1500 and table["count_bad"].sum() == bads
        assert len(binning.features[name].bins.edges) <= 5
        g, b = table["count_good"].to_numpy(float), table["count_bad"].to_numpy(float)
        pure = ((g == 0) | (b == 0)) * 0.5
        woe = np.log(((g + pure) / goods) / ((b + pure) / bads))
        np.testing.assert_allclose(table["woe"], woe)
        np.testing.assert_allclose(binning.iv[name], (((g + pure) / goods - (b + pure) / bads) * woe).sum())
    ordinary = number[[label.startswith("[") for label in number.index]]
    assert ordinary["count"].min() >= 0.05 * 1500
    assert (np.diff(ordinary["bad_rate"]) <= 0).all() or (np.diff(ordinary["bad_rate"]) >= 0).all()
