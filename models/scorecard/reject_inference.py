"""Reject inference: outcomes for refused applications, so that a card can be fitted to all who apply.

No method recovers what the accepted do not tell. While the old policy selected on what the card sees (its
bins: missing at random), a card fitted to the accepted is already about right for the rejects, and inference
adds nothing but rows; where it selected on something else that bears on risk, the rejects are riskier than any card
fitted to the accepted says, by an amount that no data at hand show (Hand and Henley, IMA Journal of Mathematics
Applied in Business and Industry 5 (1993) 45-55; Crook and Banasik, Does reject inference really improve the
performance of application scoring models?, Journal of Banking and Finance 28 (2004) 857-874). So ``factor`` is
an assumption: rejects have ``factor`` times the odds of bad of the accepted with equal points. ``sensitivity``
shows what it decides; a sample of accepted rejects is the only cure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from strata.models.binning.feature_bins import FeatureBins
from strata.models.evaluation.discrimination import auc, ks
from strata.models.evaluation.score_table import ScoreTable
from strata.models.samples.training_rows import column, require_column
from strata.models.scorecard.scorecard import Scorecard, ScorecardSpec, fit_scorecard

WEIGHT, INFERRED = "weight", "inferred"
_ROW, _KNOWN, _SHARE, _PART = "__row", "__known", "__share", "__part"


def fuzzy(
    data: DataFrame, *, card: Scorecard, target: str, weight: str | None = None, factor: float = 1.0
) -> DataFrame:
    """Each reject (null ``target``) becomes two rows: bad with weight w · p, good with weight w · (1 − p).

    p is the probability that ``card`` (fitted to the accepted) gives, its odds times ``factor``. Accepted
    rows stay once with their ``weight`` (1 without). All columns are kept; ``target`` is filled, ``weight``
    and ``inferred`` (true for rejects) are added. Rows out = accepted + 2 · rejects; the weight of every
    application is what it was. Standard errors of a card fitted to this are too small: inferred outcomes
    count as known. Column expressions only. Raises ``ValueError`` naming the argument or column.
    """
    _check(data, card, target, weight, factor)
    risk, share = _riskier(F.col("probability"), factor), F.col(_SHARE)
    inferred = F.array(_outcome(F.lit(1.0), share * risk), _outcome(F.lit(0.0), share * (1 - risk)))
    known = F.array(_outcome(F.col(_KNOWN), share))
    outcomes = F.explode(F.when(F.col(_KNOWN).isNull(), inferred).otherwise(known))
    return _filled(data, card, target, weight, outcomes)


def parcelling(
    data: DataFrame,
    *,
    card: Scorecard,
    target: str,
    id: str,
    weight: str | None = None,
    factor: float = 1.0,
    bands: int = 10,
    seed: int = 0,
) -> DataFrame:
    """Each reject (null ``target``) becomes bad or good, at the inferred bad rate of its band in ``parcels``.

    Whether it does is a hash of ``seed`` and ``id``, so the same rows give the same outcomes on any cluster,
    and who is bad at one ``factor`` is bad at any larger one. Columns as in ``fuzzy``. Rows out = rows in,
    weights unchanged; the bads differ from the bands' expected number as a binomial draw does. Two scans, of
    scores and of missing ids. Raises ``ValueError`` naming the argument or column, also when a reject's
    ``id`` is null or nobody was rejected.
    """
    require_column(data, "id", id)
    table = parcels(data, card=card, target=target, weight=weight, factor=factor, bands=bands)
    if nameless := data.where(_refused(target) & column(id).isNull()).count():
        raise ValueError(f"id: {id!r} is null in {nameless} rejected rows")
    hashed = F.xxhash64(F.lit(seed), F.col(_ROW).getField(id).cast("string"))
    drawn = F.pmod(hashed, F.lit(2**53)) / F.lit(float(2**53))
    bad = F.coalesce(F.col(_KNOWN), (drawn < _band_rate(table)).cast("double"))
    return _filled(data, card, target, weight, _outcome(bad, F.col(_SHARE)))


def parcels(
    data: DataFrame,
    *,
    card: Scorecard,
    target: str,
    weight: str | None = None,
    factor: float = 1.0,
    bands: int = 10,
) -> pd.DataFrame:
    """The score bands of ``parcelling``, the safest first, about equally many rejects in each.

    Columns: band, low and high (the scores of its rejects, equal scores together), rejects (weight),
    inferred_bad_rate (mean probability of its rejects, its odds times ``factor``), accepted (weight of those
    between the two scores) and known_bad_rate (theirs; NaN without any). One scan. Raises ``ValueError``
    naming the argument or column, also when nobody was rejected.
    """
    _check(data, card, target, weight, factor)
    if bands < 1:
        raise ValueError(f"bands: {bands!r} is not a whole number of at least 1")
    scores = _by_score(data, card, target, weight)[::-1]
    refused = scores[scores["rejects"] > 0]
    if refused.empty:
        raise ValueError(f"target: {target!r} is never null, so nobody was rejected")
    count = refused["rejects"]
    band = ((count.cumsum() - count / 2) / count.sum() * bands).astype("int64").clip(upper=bands - 1)
    parts = [_parcel(part, scores, factor) for _, part in refused.groupby(band)]
    return pd.DataFrame(parts).rename_axis("band").reset_index()


def _parcel(part: pd.DataFrame, scores: pd.DataFrame, factor: float) -> dict[str, float]:
    low, high = part["score"].min(), part["score"].max()
    beside = scores[scores["score"].between(low, high)]
    goods, bads = beside["good"].sum(), beside["bad"].sum()
    mean = float(np.average(part["probability"], weights=part["rejects"]))
    return {
        "low": low,
        "high": high,
        "rejects": part["rejects"].sum(),
        "inferred_bad_rate": _riskier(mean, factor),
        "accepted": goods + bads,
        "known_bad_rate": bads / (goods + bads) if goods + bads > 0 else math.nan,
    }


def _band_rate(table: pd.DataFrame) -> Column:
    """The inferred bad rate of the band that a reject's ``score`` is in."""
    bands = [*zip(table["low"], table["inferred_bad_rate"], strict=True)]
    rate = F.lit(float(bands[-1][1]))
    for low, of_band in reversed(bands[:-1]):
        rate = F.when(F.col("score") >= int(low), float(of_band)).otherwise(rate)
    return rate


def sensitivity(
    data: DataFrame,
    spec: ScorecardSpec,
    *,
    factors: Sequence[float] = (1.0, 1.25, 1.5, 2.0, 3.0),
    method: Literal["fuzzy", "parcelling"] = "fuzzy",
    id: str | None = None,
    bands: int = 10,
    seed: int = 0,
    evaluate: DataFrame | None = None,
) -> pd.DataFrame:
    """How far the answer hangs on ``factor``: a card fitted to the accepted, then one refit per factor.

    ``data`` as in ``fuzzy`` with the columns of ``spec``; features and bins are chosen on the accepted and
    kept, so outcomes alone move. One row a fit, the first of the accepted only (factor NaN): factor,
    inferred_bads and inferred_bad_rate (of the rejects, by weight), accepted_probability,
    rejects_probability and probability (what the card then predicts, mean over accepted, rejects, all), auc
    and ks on the accepted rows of ``evaluate`` (default: of ``data``, so flattering), and a column
    coefficient_<feature> each. The band between the rows is what is not known; the accepted can't choose
    within it, so a better auc there is no argument (Crook and Banasik 2004). A fit and two or three scans a
    factor: persist ``data`` first. Raises ``ValueError`` naming the argument or column.
    """
    if method not in ("fuzzy", "parcelling"):
        raise ValueError(f"method: {method!r} is neither fuzzy nor parcelling")
    if spec.event is not None:
        raise ValueError("spec: a target with event= has no place for rejects; make it 1, 0 and null first")
    require_column(data, "target", spec.target)
    start = fit_scorecard(data.where(~_refused(spec.target)), spec)
    measured = data if evaluate is None else evaluate
    nothing = dict.fromkeys(("factor", "inferred_bads", "inferred_bad_rate"), math.nan)
    rows = [nothing | _predicted(start, data, measured, spec)]
    for factor in factors:
        given: dict[str, Any] = {"card": start, "target": spec.target, "weight": spec.weight, "factor": factor}
        if method == "parcelling":
            given |= {"id": id, "bands": bands, "seed": seed}
        filled = fuzzy(data, **given) if method == "fuzzy" else parcelling(data, **given)
        card = fit_scorecard(filled, _kept(spec, start))
        rows.append({"factor": factor} | _inferred(filled, spec.target) | _predicted(card, data, measured, spec))
    return pd.DataFrame(rows)


def _kept(spec: ScorecardSpec, card: Scorecard) -> ScorecardSpec:
    """The spec of a refit with the features and bins of ``card``."""
    return replace(
        spec,
        features=card.features,
        forced=card.features,
        forbidden=(),
        max_features=None,
        trend="auto",
        special_values={name: binned.bins.specials for name, binned in card.kept.items()},
        splits={name: _splits(binned.bins) for name, binned in card.kept.items()},
        weight=WEIGHT,
    )


def _splits(bins: FeatureBins) -> list[Any]:
    if bins.kind == "number":
        return list(bins.edges)
    return [[*levels, "*"] if i == bins.rest else [*levels] for i, levels in enumerate(bins.groups)]


def _inferred(filled: DataFrame, target: str) -> dict[str, float]:
    refused = filled.where(F.col(INFERRED))
    found = refused.agg(F.sum(F.col(WEIGHT) * column(target).cast("double")), F.sum(WEIGHT)).head()
    assert found is not None
    return {"inferred_bads": found[0], "inferred_bad_rate": found[0] / found[1]}


def _predicted(card: Scorecard, data: DataFrame, evaluate: DataFrame, spec: ScorecardSpec) -> dict[str, float]:
    scores = _by_score(data, card, spec.target, spec.weight)
    accepted, refused = scores["good"] + scores["bad"], scores["rejects"]
    if not refused.sum() > 0:
        raise ValueError(f"target: {spec.target!r} is never null, so nobody was rejected")
    means = {"accepted_probability": accepted, "rejects_probability": refused, "probability": accepted + refused}
    tested = scores if evaluate is data else _by_score(evaluate, card, spec.target, spec.weight)
    risks, goods, bads = (tested[name].to_numpy(np.float64)[::-1] for name in ("score", "good", "bad"))
    table = ScoreTable(-risks, goods, bads)
    return {
        **{name: float((scores["probability"] @ count) / count.sum()) for name, count in means.items()},
        "auc": auc(table),
        "ks": ks(table),
        **{f"coefficient_{name}": card.coefficients[name] for name in card.features},
    }


def _by_score(data: DataFrame, card: Scorecard, target: str, weight: str | None) -> pd.DataFrame:
    """Whole scores in rising order: score, probability, weight of known good, of known bad and of rejects."""
    outcome, share = F.col(_KNOWN), F.col(_SHARE)
    sums = {
        "good": F.when(outcome == 0, share),
        "bad": F.when(outcome == 1, share),
        "rejects": F.when(outcome.isNull(), share),
    }
    summed = [F.coalesce(F.sum(part), F.lit(0.0)).alias(name) for name, part in sums.items()]
    scores = _scored(data, card, target, weight).groupBy("score").agg(*summed).toPandas()
    scores = scores.sort_values("score", ignore_index=True)
    return scores.assign(probability=card.scale.probability(scores["score"].to_numpy(np.float64)))


def _check(data: DataFrame, card: Scorecard, target: str, weight: str | None, factor: float) -> None:
    columns = [
        ("target", target),
        *[("data", name) for name in card.features],
        *([("weight", weight)] if weight else []),
    ]
    for role, name in columns:
        require_column(data, role, name)
    if not isinstance(data.schema[target].dataType, T.NumericType | T.BooleanType):
        raise ValueError(f"target: {target!r} is not a number; make it 1 for bad, 0 for good, null for rejects")
    for name in (INFERRED, WEIGHT):
        if name in data.columns and name != weight:
            raise ValueError(f"data: there is a column {name!r} already; rename or drop it")
    if not 0 < factor < math.inf:
        raise ValueError(f"factor: {factor!r} is not a number above 0")


def _refused(target: str) -> Column:
    value = column(target)
    return value.isNull() | F.isnan(value.cast("double"))


def _scored(data: DataFrame, card: Scorecard, target: str, weight: str | None) -> DataFrame:
    """Score and probability of each row beside the row itself as a struct, so that no column of its own clashes."""
    row, known = F.struct(*map(column, data.columns)), F.when(~_refused(target), column(target).cast("double"))
    share = column(weight).cast("double") if weight else F.lit(1.0)
    features = map(column, card.features)
    return card.score(data.select(row.alias(_ROW), known.alias(_KNOWN), share.alias(_SHARE), *features))


def _outcome(bad: Column, weight: Column) -> Column:
    return F.struct(bad.alias("bad"), weight.alias("weight"))


def _riskier(risk: Any, factor: float) -> Any:
    """A probability, a number or a column, with its odds times ``factor``."""
    return risk * factor / (1 - risk + risk * factor)


def _filled(data: DataFrame, card: Scorecard, target: str, weight: str | None, outcome: Column) -> DataFrame:
    """The columns of ``data`` with the target, ``weight`` and ``inferred`` that ``outcome`` of scored rows says."""
    parts = _scored(data, card, target, weight).select(
        _ROW, F.col(_KNOWN).isNull().alias(INFERRED), outcome.alias(_PART)
    )
    row, bad = F.col(_ROW), F.col(f"{_PART}.bad").cast(data.schema[target].dataType)
    kept = [(bad if name == target else row.getField(name)).alias(name) for name in data.columns if name != WEIGHT]
    return parts.select(*kept, F.col(f"{_PART}.weight").alias(WEIGHT), INFERRED)
