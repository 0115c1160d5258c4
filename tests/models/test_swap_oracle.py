"""The swap set against plain pandas: a search for the cut-offs, then counting."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from strata.models.evaluation.intervals import newcombe
from strata.models.evaluation.swap_set import swap_set

pytestmark = pytest.mark.oracle

SCHEMA = "bad int, old int, new double, w double"
COLUMNS = {"target": "bad", "champion": "old", "challenger": "new"}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(11)
    risk = rng.normal(size=900)
    rows = pd.DataFrame({"bad": (rng.random(900) < 1 / (1 + np.exp(1.5 - 1.3 * risk))).astype(float)})
    rows["old"] = np.round(600 - 20 * risk - 25 * rng.normal(size=900)).astype(int)
    rows["new"] = np.round(600 - 20 * risk - 8 * rng.normal(size=900), 1)
    # The refused of an older policy have no outcome.
    rows.loc[rows["old"] < 580, "bad"] = np.nan
    return rows.assign(w=rng.integers(1, 4, 900).astype(float))


@pytest.fixture(scope="module")
def data(spark, frame):
    rows = [(None if math.isnan(b) else int(b), int(o), float(n), float(w)) for b, o, n, w in frame.to_numpy()]
    return spark.createDataFrame(rows, SCHEMA).coalesce(1).cache()


def lowest(scores, weights, approve):
    """The lowest score that lets in no more than the share."""
    return min(s for s in np.unique(scores) if weights[scores >= s].sum() <= approve * weights.sum() + 1e-9)


def approval_rates(found):
    """Shares of the cases that champion and challenger approve."""
    both, new, old, _ = found.table["count"] / found.table["count"].sum()
    return both + old, both + new


@pytest.mark.parametrize(("approve", "weighted"), [(0.5, False), (0.7, True), (1.0, False)])
def test_the_swap_set_is_what_pandas_counts(data, frame, approve, weighted):
    w = frame["w"] if weighted else frame["w"] * 0 + 1
    found = swap_set(data, **COLUMNS, approve=approve, weight="w" if weighted else None)
    assert found.cut_offs == (lowest(frame["old"], w, approve), lowest(frame["new"], w, approve))
    old, new = frame["old"] >= found.cut_offs[0], frame["new"] >= found.cut_offs[1]
    assert approval_rates(found) == pytest.approx((w[old].sum() / w.sum(), w[new].sum() / w.sum()))
    assert max(approval_rates(found)) <= approve + 1e-12
    masks = {
        "approved by both": old & new,
        "swap-in": ~old & new,
        "swap-out": old & ~new,
        "refused by both": ~old & ~new,
    }
    assert found.table.index.tolist() == list(masks)
    for group, mask in masks.items():
        told, known = found.table.loc[group], w[mask & frame["bad"].notna()].sum()
        bads = w[mask & (frame["bad"] == 1)].sum()
        assert (told["count"], told["known"], told["bads"]) == (w[mask].sum(), known, bads)
        if known:
            ends = binomtest(int(bads), int(known)).proportion_ci(0.95, method="wilson")
            assert (told["bad_rate"], told["low"], told["high"]) == pytest.approx((bads / known, *ends))
        else:
            assert told[["bad_rate", "low", "high"]].isna().all()
    pairs = [found.table.loc[group, name] for group in ("swap-in", "swap-out") for name in ("bads", "known")]
    assert found.difference == pytest.approx(newcombe(*pairs), nan_ok=True)


def test_a_better_card_swaps_bads_for_goods(data):
    found = swap_set(data, **COLUMNS, approve=0.5)
    assert found.difference.high < 0, found.difference


def test_given_cut_offs_are_taken(data, frame):
    found = swap_set(data, **COLUMNS, cut_offs=(610, 590.05))
    assert found.cut_offs == (610, 590.05)
    assert found.table.at["swap-in", "count"] == ((frame["old"] < 610) & (frame["new"] >= 590.05)).sum()
    assert found.table["count"].sum() == len(frame)


def test_equal_scores_stay_together(spark):
    data = spark.createDataFrame([(0, s, 6.0 - i, 1.0) for i, s in enumerate([9, 7, 7, 7, 1])], SCHEMA)
    found = swap_set(data, **COLUMNS, approve=0.6)
    assert found.cut_offs == (9, 4) and approval_rates(found) == pytest.approx((0.2, 0.6))
    with pytest.raises(ValueError, match="approve: 0.1 lets nobody in, .* 'old'"):
        swap_set(data, **COLUMNS, approve=0.1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "approve, cut_offs: give one"),
        ({"approve": 0.5, "cut_offs": (1, 1)}, "approve, cut_offs: give one"),
        ({"approve": 1.5}, "approve: 1.5 is not a share"),
        ({"approve": 0.5, "champion": "x"}, "champion: the data have no column 'x'"),
        ({"approve": 0.5, "weight": "x"}, "weight: the data have no column 'x'"),
        ({"approve": 0.5, "target": "old"}, "in 900 rows"),
    ],
)
def test_wrong_arguments_are_named(data, arguments, words):
    with pytest.raises(ValueError, match=words):
        swap_set(data, **(COLUMNS | arguments))


@pytest.mark.parametrize("row", ["null, 1, 1D, 1D", "0, null, 1D, 1D", "0, 1, double('nan'), 1D", "0, 1, 1D, -1D"])
def test_scores_and_weights_must_be_numbers(spark, data, row):
    more = data.union(spark.sql(f"SELECT {row}"))
    if row.startswith("null"):
        assert swap_set(more, **COLUMNS, cut_offs=(600, 600)).table["count"].sum() == 901
    else:
        with pytest.raises(ValueError, match="in 1 rows"):
            swap_set(more, **COLUMNS, cut_offs=(600, 600), weight="w")
