# ruff: noqa: E501
"""Texts as numbers: all forms and a slow walk through the characters agree on every text; scorecards keep readings."""

from __future__ import annotations

import math
import random

import duckdb
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from pyspark.sql import functions as F

from strata.jobs.runtime.pyfunc import save_pyfunc
from strata.models import Binning, Scorecard, ScorecardSpec, fit_binning, fit_scorecard
from strata.models.readings.text_readings import Reading
from strata.models.scorecard.sql_export import ANSI, SPARK

pytestmark = pytest.mark.oracle

NUMBER = Reading("number")
COMMA = Reading("number", comma=True)
PERCENT = Reading("percent", words=("%",))
MONEY = Reading("money", comma=True, words=("€", "eur"))
YEARS = Reading("unit", words=("year", "years"))
MONTHS = Reading("unit", comma=True, words=("měsíc", "měsíců"))
GRADES = Reading("order", levels=(("a1", 1.0), ("a2", 2.0), ("b1", 3.0)))
WORDS = Reading("order", levels=(("низкий", 1.0), ("middle", 2.0), ("велми vysoký", 3.0)))
READINGS = [NUMBER, COMMA, PERCENT, MONEY, YEARS, MONTHS, GRADES, WORDS]

SPACES = "\t\n\r\u00a0\u2009\u202f\u3000 "
PIECES = [
    *"0123456789", *"0123456789", *".,.,'’+-−()<>eE%$€£", *SPACES, *"０１２９．，％－（）＋＜", *"Ax$^\\\"'_{}|*?",
    "000", "12", "345", "1 234", "1,234", "1.234", "1'234", "year", "years", "YEARS", "EUR", "eur", "měsíců", "Měsíc",
    "inf", "Infinity", "NaN", "A1", "a2", "B1", "middle", "null", "e5", "E-3", "\u2028", "²", "٣", "K", "İ", "1e5",
]  # fmt: skip
SAID = {
    NUMBER: {
        "12": 12, "-1.5": -1.5, "1,234.50": 1234.5, "1,234,567": 1234567, "1 200": 1200, "1'234.50": 1234.5, "1e5": 1e5,
        "(120)": -120, "120-": -120, "1,5": None, "1,23,456": None, "１２３．５": 123.5, "−7": -7, "+5": 5, "5.": 5, ".5": 0.5,
        "inf": math.inf, "-Infinity": -math.inf, "+420 608 123 456": None, "0 200": None, "10+": 10, "<1": 0.5, "> 9": 9.5,
        "": None, "NaN": None, "#DIV/0!": None, "12%": None, "1 2": None, "1,234 567": None, "--5": None, "(-5)": None,
        "1e999": None, "12abc": None,
    },
    COMMA: {"1.234": 1234, "12.500": 12500, "4,5": 4.5, "950": 950, "1.234.567,8": 1234567.8, "1.5": None, "1,5e2": 150},
    PERCENT: {"10.65%": 10.65, "10.65 %": 10.65, "(1.5%)": -1.5, "１２％": 12, "3": 3, "%": None, "-3 %": -3, "3-%": -3},
    MONEY: {"€ 1.200": 1200, "1.234,56 €": 1234.56, "€-5": -5, "-€ 5": -5, "(5 EUR)": -5, "5$": None, "€\u202f1\u00a0200": 1200},
    YEARS: {"10+ years": 10, "< 1 year": 0.5, "1 YEAR": 1, "> 5 years": 5.5, "5 months": None, "3years": 3, "3": 3},
    MONTHS: {"36 MĚSÍCŮ": 36, "1 měsíc": 1, "1,5 měsíce": None},
    GRADES: {"A1": 1, " b1 ": 3, "a3": None, "1": None},
    WORDS: {"Middle": 2, "низкий": 1, "": None},
}  # fmt: skip


def slow(reading, text):
    """The reading by hand: no pattern, no translation; None when the text is no number."""
    wide = dict(zip("０１２３４５６７８９．，％＋－（）＜＞＄￡￥−’", "0123456789.,%+-()<>$£¥-'"))
    one = lambda c: " " if c.isspace() and c not in "\x1c\x1d\x1e\x1f\u1680" else wide.get(c, c)  # noqa: E731
    small = lambda c: c.lower() if "A" <= c <= "Z" or (c in "ĚŮÁÍ" and len(c.lower()) == 1) else c  # noqa: E731
    t = "".join(small(one(c)) for c in text).strip(" ")
    if reading.kind == "order":
        return dict(reading.levels).get(t)
    if t.lstrip("+-") in ("inf", "infinity") and len(t) - len(t.lstrip("+-")) < 2:
        return -math.inf if t[0] == "-" else math.inf
    if (found := exponent(reading, t)) is not None:
        return found
    if t[:1] in ("<", ">"):
        body = without_words(reading, t[1:].removeprefix(" "), signs=False)
        return None if body is None or not digits(body) else float(body) + (-0.5 if t[0] == "<" else 0.5)
    if t[:1] == "(" and t[-1:] == ")" and len(t) > 1:
        body = without_words(reading, t[1:-1].removeprefix(" ").removesuffix(" "), signs=False)
        return None if body is None else negated(plain(reading, body))
    if t[:1] == "-":
        body = without_words(reading, t[1:].removeprefix(" "), signs=False)
        return None if body is None else negated(plain(reading, body))
    if t[:1] == "+":
        body = without_words(reading, t[1:].removeprefix(" "), signs=False)
        return None if body is None or " " in body else plain(reading, body)
    if t[-1:] == "-":
        body = without_words(reading, t[:-1].removesuffix(" "), signs=False)
        return None if body is None else negated(plain(reading, body))
    for word in reading.words:
        if t.startswith(word) and t[len(word) :].lstrip(" ")[:1] == "-":
            rest = t[len(word) :].removeprefix(" ").removeprefix("-").removeprefix(" ")
            if t[len(word) :].removeprefix(" ")[:1] == "-" and (number := plain(reading, rest)) is not None:
                return -number
        if t.endswith(word) and t[: -len(word)].rstrip(" ")[-1:] == "-":
            rest = t[: -len(word)].removesuffix(" ")
            if rest[-1:] == "-" and (number := plain(reading, rest[:-1].removesuffix(" "))) is not None:
                return -number
    body = without_words(reading, t, signs=True)
    if body is None:
        return None
    if body.endswith("+"):
        rest = body[:-1].removesuffix(" ")
        return float(rest) if digits(rest) else None
    return plain(reading, body)


def negated(number):
    return None if number is None else -number


def digits(text):
    return 1 <= len(text) <= 30 and all("0" <= c <= "9" for c in text)


def exponent(reading, t):
    head, mark, power = t.partition("e")
    sign, head = (head[:1], head[1:]) if head[:1] in ("+", "-") else ("", head)
    size = power[1:] if power[:1] in ("+", "-") else power
    if not mark or not digits(size) or len(size) > 2 or " " in head or "'" in head:
        return None
    if (reading.comma and "." in head) or (not reading.comma and "," in head) or plain(reading, head) is None:
        return None
    return float(f"{sign}{head.replace(',', '.')}e{power}")


def without_words(reading, t, *, signs):
    """The rest when one word before and one behind are taken away, if that is a number; the first way that works."""
    befores = [t, *(t[len(w) :].removeprefix(" ") for w in reading.words if t.startswith(w))]
    for rest in befores:
        for body in [rest, *(rest[: -len(w)].removesuffix(" ") for w in reading.words if rest.endswith(w))]:
            bare = body[:-1].removesuffix(" ") if signs and body.endswith("+") else body
            if digits(bare) if bare != body else plain(reading, bare) is not None:
                return body
    return None


def plain(reading, t):
    """Digits, perhaps in groups, perhaps with decimals."""
    point, group = (",", ".") if reading.comma else (".", ",")
    whole, mark, decimals = t.partition(point)
    if mark and decimals and not digits(decimals):
        return None
    if not whole:
        return float(f"0.{decimals}") if digits(decimals) else None
    for one in (group, " ", "'"):
        first, *others = whole.split(one)
        right = all(digits(part) and len(part) == 3 for part in others)
        if others and len(others) <= 8 and digits(first) and len(first) <= 3 and first[0] != "0" and right:
            return float("".join([first, *others]) + "." + (decimals or "0"))
    return float(f"{whole}.{decimals or '0'}") if digits(whole) else None


def texts(count=6000):
    draw = random.Random(7)
    made = {"".join(draw.choices(PIECES, k=draw.randint(1, 6))) for _ in range(count)}
    for text in [t for said in SAID.values() for t in said]:  # texts that are understood, and their neighbours
        made |= {text, f"{text} ", f"\u00a0{text}\n"}
        for _ in range(12):
            at = draw.randint(0, len(text))
            made.add(text[:at] + draw.choice(PIECES) + text[at + draw.randint(0, 1) :])
    return sorted(text for text in made if "\x00" not in text)


def same(found, wanted):
    found, wanted = (math.nan if x is None else x for x in (found, wanted))
    return found == wanted or (math.isnan(found) and math.isnan(wanted))


def test_what_texts_are_read_as():
    wrong = [
        (reading.kind, text, reading.number(text), wanted)
        for reading, said in SAID.items()
        for text, wanted in said.items()
        if not same(reading.number(text), wanted)
    ]
    assert not wrong
    for reading in READINGS:
        assert Reading.from_dict(reading.to_dict()) == reading


def test_all_forms_agree_on_every_text(spark, tmp_path):
    made = texts()
    frame = pd.DataFrame({"id": range(len(made)), "x": made})
    frame.to_parquet(tmp_path / "t.parquet", index=False)
    rows = spark.read.parquet(str(tmp_path / "t.parquet")).coalesce(1)
    columns = [r.column(F.col("x")).alias(f"c{i}") for i, r in enumerate(READINGS)]
    sqls = [F.expr(r.sql(SPARK.column("x"), SPARK)).alias(f"s{i}") for i, r in enumerate(READINGS)]
    of_spark = rows.select("id", *columns, *sqls).toPandas().sort_values("id", ignore_index=True)
    select = ", ".join(f"{r.sql(ANSI.column('x'), ANSI)} AS d{i}" for i, r in enumerate(READINGS))
    of_duck = duckdb.sql(f"SELECT id, {select} FROM '{tmp_path}/t.parquet'").df().sort_values("id", ignore_index=True)
    for i, reading in enumerate(READINGS):
        wanted = np.array([math.nan if (x := slow(reading, t)) is None else x for t in made])
        found = {"pandas": reading.series(frame["x"]), "spark": of_spark[f"c{i}"], "sql": of_spark[f"s{i}"],
                 "duckdb": of_duck[f"d{i}"]}  # fmt: skip
        assert np.isfinite(wanted).sum() >= 4
        for form, values in found.items():
            values = values.to_numpy(np.float64)
            wrong = [
                (made[k], values[k], wanted[k])
                for k in np.flatnonzero(values != wanted)
                if not same(values[k], wanted[k])
            ]
            assert not wrong, (form, reading, len(wrong), wrong[:10])


def test_a_number_stays_what_it_is(spark, tmp_path):
    values = [1.234, 12.5, -0.5, 1e300, math.inf, -math.inf, math.nan, None]
    rows = spark.createDataFrame([(v,) for v in values], "x double").coalesce(1)
    rows.write.parquet(str(tmp_path / "t"))
    for reading in (COMMA, PERCENT, GRADES):
        by_sql = [r[0] for r in rows.select(F.expr(reading.sql("`x`", SPARK))).collect()]
        by_column = [r[0] for r in rows.select(reading.column(F.col("x"))).collect()]
        duck = duckdb.sql(
            f"SELECT {reading.sql(chr(34) + 'x' + chr(34), ANSI)} FROM '{tmp_path}/t/*.parquet'"
        ).fetchall()
        for found in (by_sql, by_column, [r[0] for r in duck], reading.series(pd.Series(values)).tolist()):
            assert all(same(a, b) for a, b in zip(found, values, strict=True)), (reading, found)
    mixed = pd.Series([1.5, "1,5", None, True, pd.NA], dtype=object)
    assert COMMA.series(mixed).fillna(-1).tolist() == [1.5, 1.5, -1, 1, -1]
    for kind in ("Int64", "Float64", "double[pyarrow]", "boolean", "bool[pyarrow]"):
        assert COMMA.series(pd.Series([1, None], dtype=kind)).fillna(-1).tolist() == [1, -1]


def test_what_a_reading_cannot_be_is_refused():
    with pytest.raises(ValueError, match="kind: 'roman' is none of number, percent"):
        Reading("roman")
    with pytest.raises(ValueError, match="words: 'a b' is neither a word of letters nor one sign"):
        Reading("unit", words=("a b",))
    with pytest.raises(ValueError, match="reading: 'base' is not known"):
        Reading.from_dict({"kind": "number", "base": 16})


RAW = "id int, bad int, rate string, debt string, job string, class string, plain double"
USED = {"rate": Reading("percent", words=("%",), missing=("n/a",)), "debt": MONEY, "job": YEARS, "class": GRADES}


def raw_rows():
    draw = np.random.default_rng(3)
    rows = []
    for i in range(1200):
        rate, debt, years, grade = (
            round(float(draw.normal(11, 3)), 2),
            int(draw.integers(0, 90_000)),
            int(draw.integers(0, 11)),
            int(draw.integers(1, 4)),
        )
        risk = -2 + 0.25 * (rate - 11) + debt / 90_000 - 0.15 * years + 0.6 * grade
        bad = int(draw.random() < 1 / (1 + math.exp(-risk)))
        job = "10+ years" if years == 10 else "< 1 year" if years == 0 else f"{years} year{'s' * (years > 1)}"
        money = f"€ {debt:,}".replace(",", ".") if i % 2 else f"{debt},50 eur"
        rows.append(
            (
                i,
                bad,
                f"{rate}%" if i % 50 else "n/a",
                money,
                job if i % 30 else None,
                ("A1", "a2", "B1")[grade - 1],
                float(draw.normal()),
            )
        )
    return rows


@pytest.fixture(scope="module")
def raw(spark):
    return spark.createDataFrame(raw_rows(), RAW).coalesce(1).cache()


@pytest.fixture(scope="module")
def card(raw):
    features = [*USED, "plain"]
    return fit_scorecard(raw, ScorecardSpec("bad", features, forced=features, readings=USED, reasons=3))


def in_order(frame):
    answer = frame.sort_values("id", ignore_index=True)[
        ["score", "probability", "grade", "reason_1", "reason_2", "reason_3"]
    ]
    return answer.astype(object).where(answer.notna(), None).round(12)


def test_a_scorecard_scores_the_texts_that_it_was_fitted_on_in_every_form(spark, raw, card, tmp_path):
    assert {name: b.bins.kind for name, b in card.kept.items()} == dict.fromkeys([*USED, "plain"], "number")
    assert {name: b.bins.reading for name, b in card.kept.items()} == {**USED, "plain": None}
    odd = [(i + 5000, 0, rate, debt, job, grade, 0.0) for i, (rate, debt, job, grade) in enumerate(
        zip(["１２％", "-3 %", "", None], ["1.234,5 EUR", "(5 €)", "7", "€"], ["3", "> 5 years", "x", ""], ["B1", " b1", "C9", None])
    )]  # fmt: skip
    rows = raw.union(spark.createDataFrame(odd, RAW)).coalesce(1)
    card = Scorecard.from_json(card.to_json())
    local = rows.toPandas()
    typed = rows.select("id", *[r.column(F.col(n)).alias(n) for n, r in USED.items()], "plain")
    rows.write.parquet(str(tmp_path / "raw"))
    rows.createOrReplaceTempView("raw_texts")
    save_pyfunc(card, tmp_path / "model")
    given = local[[*card.features]]
    found = {
        "spark": card.score(rows.drop("bad"), unreadable=None).toPandas(),
        "typed": card.score(typed).toPandas(),
        "sql": spark.sql(f"SELECT id, {card.to_sql()} FROM raw_texts").toPandas(),
        "duckdb": duckdb.sql(f"SELECT id, {card.to_sql('ansi')} FROM '{tmp_path}/raw/*.parquet'").df(),
        "pandas": card.score_pandas(given, unreadable=1.0).assign(id=local["id"]),
        "pyfunc": mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(given).assign(id=local["id"]),
    }
    wanted = in_order(found["typed"])
    assert wanted["score"].nunique() > 20
    for form, frame in found.items():
        pd.testing.assert_frame_equal(in_order(frame), wanted, check_dtype=False, obj=form)


def test_a_binning_keeps_readings_and_old_ones_still_read(raw):
    numbers = raw.withColumns({name: reading.column(F.col(name)) for name, reading in USED.items()})
    one = fit_binning(raw, target="bad", features=[*USED], readings=USED)
    two = fit_binning(numbers, target="bad", features=[*USED])
    assert one.iv == two.iv and Binning.from_json(one.to_json()) == one
    assert '"reading"' not in two.to_json() and Binning.from_json(two.to_json()) == two
    found = one.transform(raw).toPandas()
    pd.testing.assert_series_equal(found["debt_woe"], two.transform(numbers).toPandas()["debt_woe"])
    with pytest.raises(ValueError, match="readings: 'x' is not among the features"):
        fit_binning(raw, target="bad", features=["rate"], readings={"x": PERCENT})


def test_texts_that_no_reading_understands_are_counted(spark, card, raw):
    local = raw.toPandas()
    wrong = local.assign(rate=["12 points" if i < 5 else rate for i, rate in enumerate(local["rate"])])
    with pytest.warns(
        UserWarning, match=r"rows: 5 of 1,177 values of 'rate' can't be read as percent, such as '12 points'"
    ):
        card.score_pandas(wrong, unreadable=0.05)
    with pytest.raises(ValueError, match="5 of 1,177 values of 'rate' can't be read as percent"):
        card.score_pandas(wrong, unreadable=0.001)
    with pytest.raises(
        ValueError, match=r"data: 5 of 1,177 values of 'rate' can't be read as percent, such as '12 points'"
    ):
        card.score(spark.createDataFrame(wrong).drop("grade"), unreadable=0.001)
    numbers = raw.withColumn("plain", F.lit("31,5"))
    with pytest.raises(ValueError, match="1,200 of 1,200 values of 'plain' can't be read as numbers, such as '31,5'"):
        card.score(numbers.drop("bad").withColumn("rate", F.lit(5.0)))
    day = raw.drop("bad").withColumn("plain", F.lit("2024-01-01").cast("date"))
    with pytest.raises(TypeError, match="data: 'plain' is date, but the scorecard has a number there"):
        card.score(day)
    with pytest.raises(TypeError, match="rows: 'plain' is list, but the scorecard has a number there"):
        card.score_pandas(local.assign(plain=[[1]] * len(local), rate=5.0))
    with pytest.raises(TypeError, match="rows: 'plain' is Timestamp"):
        card.score_pandas(local.assign(plain=pd.Timestamp("2024-01-01"), rate=5.0).astype({"plain": "datetime64[ns]"}))


@pytest.mark.parametrize("kind", ["Int64", "Float64", "double[pyarrow]", "object"])
def test_missing_values_of_pandas_are_missing(card, raw, kind):
    local = raw.toPandas().head(2).assign(rate=5.0)
    wanted = card.score_pandas(local.assign(plain=[1.0, math.nan]))
    pd.testing.assert_frame_equal(card.score_pandas(local.assign(plain=pd.array([1, None], dtype=kind))), wanted)
