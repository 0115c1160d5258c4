"""One answer in every form: Spark, SQL of two dialects, pandas, JSON, pyfunc, PMML, and a plain Python walk."""

from __future__ import annotations

import math
from dataclasses import replace

import duckdb
import mlflow.pyfunc
import numpy as np
import pytest
from pypmml import Model
from pypmml.base import PMMLContext

from strata.jobs.runtime.install import java_home
from strata.jobs.runtime.pyfunc import save_pyfunc
from strata.models import Binning, Scorecard, ScorecardSpec, fit_binning, fit_scorecard
from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.woe_binning import BinnedFeature
from strata.models.samples.training_rows import column
from strata.models.scorecard.points_scale import Points, Scale

pytestmark = pytest.mark.oracle

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
        text = rng.choice(["alpha", "be'ta", 'dou"ble\\', "𝄞 grün", "rare1", "NA"], p=[0.4, 0.2, 0.2, 0.1, 0.04, 0.06])
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
    texts = ["alpha", "be'ta", 'dou"ble\\', "𝄞 grün", "rare1", "NA", "never seen", "", None, "ALPHA", " alpha"]
    rows = []
    for i in range(max(len(numbers), 40)):
        x = numbers[i % len(numbers)]
        rows.append(
            (i, x, None if i % 7 == 0 else i % 12 - 2, texts[i % 11], [True, False, None][i % 3], f"{i * 13}.50")
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


def columns_of(card):
    return ["score", "probability", "grade", *(f"reason_{n}" for n in range(1, card.reasons + 1))]


def answers(card, rows):
    """By id, of Spark rows or dicts."""
    return {row["id"]: tuple(row[name] for name in columns_of(card)) for row in rows}


def of_pandas(card, frame):
    return answers(card, frame.reset_index().replace({np.nan: None}).to_dict("records"))


def by_duckdb(card, parquet):
    sql = f"SELECT id, {card.to_sql(dialect='ansi')} FROM read_parquet('{parquet}/*.parquet')"
    return of_pandas(card, duckdb.sql(sql).df())


def by_pmml(card, rows):
    """pmml4s, an evaluator that shares nothing with us; numbers go in as doubles."""
    model = Model.fromString(card.to_pmml())
    number = {name: binned.bins.kind == "number" for name, binned in card.kept.items()}
    given = [{n: float(row[n]) if number[n] and row[n] is not None else row[n] for n in card.features} for row in rows]
    return answers(card, [{"id": row["id"], **model.predict(values)} for row, values in zip(rows, given)])


@pytest.fixture(scope="module")
def pmml(spark):
    home = java_home()
    yield PMMLContext.getOrCreate(java_path=f"{home}/bin/java" if home else None)
    Model.close()


def agree(found, expected):
    """All but the probability exactly; it to 1e-12."""
    for i, answer in expected.items():
        assert (found[i][0], *found[i][2:]) == (answer[0], *answer[2:]), i
        assert found[i][1] == pytest.approx(answer[1], rel=1e-12, abs=0), i
    assert found.keys() == expected.keys()


def test_all_forms_agree_row_for_row(spark, pmml, card, data, awkward, tmp_path):
    assert len(card.features) >= 4, "the test data must exercise numbers, codes and texts"
    again = Scorecard.from_json(card.to_json())
    save_pyfunc(card, tmp_path / "model")
    pyfunc = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    for rows, parquet in ((awkward, tmp_path / "awkward"), (data.drop("bad"), tmp_path / "data")):
        rows.createOrReplaceTempView("awkward_rows")
        rows.write.parquet(str(parquet))
        collected, local = rows.collect(), rows.toPandas().set_index("id")
        expected = {row["id"]: by_hand(card, row) for row in collected}
        agree(answers(card, card.score(rows).collect()), expected)
        agree(answers(card, spark.sql(f"SELECT id, {card.to_sql()} FROM awkward_rows").collect()), expected)
        agree(answers(card, again.score(rows).collect()), expected)
        agree(by_duckdb(card, parquet), expected)
        agree(of_pandas(card, card.score_pandas(local)), expected)
        agree(of_pandas(card, pyfunc.predict(local)), expected)
        some = collected[:80]
        agree(by_pmml(card, some), {row["id"]: expected[row["id"]] for row in some})


def test_a_pyfunc_scores_inside_spark_but_for_null_reasons(spark, card, awkward, tmp_path):
    save_pyfunc(card, tmp_path / "model")
    udf = mlflow.pyfunc.spark_udf(spark, str(tmp_path / "model"), env_manager="local")
    scored = awkward.select("id", udf(*[column(name) for name in card.features]).alias("scored"))
    found = answers(card, scored.select("id", "scored.*").collect())
    assert "None" in {reason for answer in found.values() for reason in answer[3:]}, "MLflow keeps nulls: say so"
    nulls = {i: tuple(None if value == "None" else value for value in answer) for i, answer in found.items()}
    agree(nulls, answers(card, card.score(awkward).collect()))


LEVELS = ["a", "A", "", " ", "a b", "it's", 'q"', "\\", "\\n", "new\nline", "ü", "u\u0308", "漢字", "${x}", "%s", "--"]
VALUES = [0.0, -0.0, 0.1 + 0.2, 0.3, 1e-300, -1e300, 1e300, 5.0, -7.0, 2.0**53, math.inf, -math.inf, math.nan, None]


def random_bins(rng, name, kind):
    """Bins with any edges or levels, specials, and empty bins that hold the most points."""
    pick = [str(x) for x in rng.permutation(LEVELS)]
    edges = sorted({float(x) for x in rng.choice([x for x in VALUES if x is not None and math.isfinite(x)], 4)})
    if kind == "number":
        bins = FeatureBins(name, "number", tuple(edges), specials=(-7.0, 0.0)[: rng.integers(3)])
    else:
        rest = [None, 0, 2][rng.integers(3)]
        bins = FeatureBins(name, "text", groups=(tuple(pick[:4]), (), tuple(pick[4:8])), specials=("NA",), rest=rest)
    filled = tuple(float(x) for x in rng.integers(0, 2, bins.size - 1)) + (1.0,)
    nothing = (0.0,) * bins.size
    return BinnedFeature(bins, filled, nothing, nothing, nothing)


def random_card(rng, card):
    kinds = {"n": "number", "m": "number", "k1": "number", "t": "text", "worst": "text"}
    names = [str(x) for x in rng.permutation(list(kinds))[: rng.integers(1, 6)]]
    binned = {name: random_bins(rng, name, kinds[name]) for name in names}
    points = {name: tuple(int(x) for x in rng.integers(-2, 3, b.bins.size) * 9) for name, b in binned.items()}
    scale = Scale(pdo=float(rng.uniform(5, 50)))
    base = int(scale.offset + rng.integers(-20, 80))
    return replace(
        card, scale=scale, reasons=int(rng.integers(0, 6)), binning=Binning(binned), points=Points(base, points)
    )


def random_rows(rng, count):
    number = lambda: VALUES[rng.integers(len(VALUES))]  # noqa: E731
    text = lambda: [*LEVELS, "NA", "other", None][rng.integers(len(LEVELS) + 3)]  # noqa: E731
    return [(i, number(), number(), number(), text(), text()) for i in range(count)]


def test_random_cards_agree_in_all_forms(spark, pmml, card, tmp_path):
    rng = np.random.default_rng(11)
    cards = [random_card(rng, card) for _ in range(24)]
    names = ["id", "n", "m", "k1", "t", "worst"]
    rows = spark.createDataFrame(random_rows(rng, 30), "id int, n double, m double, k1 double, t string, worst string")
    rows = rows.coalesce(1).cache()
    rows.createOrReplaceTempView("random_rows")
    rows.write.parquet(str(tmp_path / "rows"))
    collected, local = rows.collect(), rows.toPandas().set_index("id")
    assert local.columns.tolist() == names[1:]
    for first in range(0, len(cards), 4):
        some = cards[first : first + 4]
        structs = ", ".join(f"struct({one.to_sql()}) AS card_{i}" for i, one in enumerate(some))
        by_sql = spark.sql(f"SELECT id, {structs} FROM random_rows").collect()
        for i, one in enumerate(some):
            found = [{"id": row["id"], **row[f"card_{i}"].asDict()} for row in by_sql]
            agree(answers(one, found), {row["id"]: by_hand(one, row) for row in collected})
    for one in cards:
        expected = {row["id"]: by_hand(one, row) for row in collected}
        agree(by_duckdb(one, tmp_path / "rows"), expected)
        agree(of_pandas(one, Scorecard.from_json(one.to_json()).score_pandas(local)), expected)
        agree(by_pmml(one, collected), expected)


def small_card(card, bins):
    nothing = (0.0,) * bins.size
    binned = BinnedFeature(bins, (1.0,) * bins.size, nothing, nothing, nothing)
    points = Points(500, {bins.feature: tuple(range(bins.size))})
    return replace(card, binning=Binning({bins.feature: binned}), points=points)


def test_what_a_form_cannot_hold_is_refused_by_name(card):
    with pytest.raises(ValueError, match="dialect: 'oracle' is none of spark, ansi"):
        card.to_sql(dialect="oracle")
    refused = {
        "'score' is the name of an output": FeatureBins("score", "number", (1.0,)),
        "'code_1' is the name of an output": FeatureBins("code_1", "number", (1.0,)),
        r"'\\x00' has the character '\\x00'": FeatureBins("t", "text", groups=(("a", "\x00"),)),
        "special_values: inf of 'n'": FeatureBins("n", "number", (1.0,), specials=(math.inf,)),
    }
    for message, bins in refused.items():
        with pytest.raises(ValueError, match=message):
            small_card(card, bins).to_pmml()


def test_a_table_that_has_a_score_of_its_own_is_not_misread(spark, card, awkward):
    awkward.selectExpr("*", "-1 AS probability", "-1 AS score").createOrReplaceTempView("scored_before")
    fresh = spark.sql(
        f"SELECT id, s.* FROM (SELECT id AS i, {card.to_sql()} FROM scored_before) s JOIN scored_before ON i = id"
    )
    ours = {i: a[:1] for i, a in answers(card, card.score(awkward).collect()).items()}
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
