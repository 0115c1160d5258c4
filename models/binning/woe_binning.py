"""WOE binning: every feature's bins, counts, WOE and information value, from one exact counts table."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.models.binning.bin_counts import Counted, Floats, Integers, Totals, Training
from strata.models.binning.edge_rounding import at_round_edges
from strata.models.binning.feature_bins import FeatureBins, merged_groups
from strata.models.binning.level_shrinkage import shrunk_counts
from strata.models.binning.monotone_merge import PURE, TRENDS, Merged, MergeRules, Periods, merge, merge_finely, woe_iv
from strata.models.readings.text_readings import Reading
from strata.models.samples.training import training
from strata.models.samples.training_rows import Specials, require_column, source
from strata.models.scorecard.sql_export import case_sql, number_sql

Splits = Mapping[str, Sequence[float] | Sequence[Sequence[str]]]
FORMAT = "strata-binning-1"
Direction = Literal[-1, 0, 1]
# Of a text with more candidate levels (the rare ones count as one) WOE is drawn towards 0 as far as chance explains it.
FEW_LEVELS = 20


class PeriodCounts(NamedTuple):
    """The weight of goods and bads of one period (a vintage) in each bin."""

    period: str
    good: tuple[float, ...]
    bad: tuple[float, ...]


@dataclass(frozen=True)
class BinnedFeature:
    """A feature's bins with the weight of goods and bads in each, and what follows from them.

    ``periods`` hold the same counts period by period, when a period was named. ``unit`` is the mean weight of a row.
    ``chance_iv`` is the part of ``iv`` that a text owes to chance: with levels enough, some always look risky.
    """

    bins: FeatureBins
    good: tuple[float, ...]
    bad: tuple[float, ...]
    woe: tuple[float, ...]
    bin_iv: tuple[float, ...]
    periods: tuple[PeriodCounts, ...] = ()
    unit: float = 1.0
    chance_iv: float = 0.0

    @property
    def iv(self) -> float:
        """Information value over all bins, missing and special ones too."""
        return float(sum(self.bin_iv))

    @property
    def honest_iv(self) -> float:
        """Information value less what chance alone would give: what selection judges by."""
        return max(self.iv - self.chance_iv, 0.0)

    @property
    def direction(self) -> Direction:
        """+1 when risk rises with the feature over its ordinary bins, −1 when it falls, else 0."""
        steps = [b - a for a, b in pairwise(self.woe[: self.bins.ordinary])]
        if self.bins.kind == "text" or not steps:
            return 0
        return 1 if max(steps) <= 0 else -1 if min(steps) >= 0 else 0

    def stability(self) -> pd.DataFrame:
        """One row a period and filled bin: period, bin, count, count_bad, bad_rate, woe, share (of the period)."""
        labels = self.bins.labels()
        rows = []
        for part in self.periods:
            good, bad = np.asarray(part.good), np.asarray(part.bad)
            least = PURE * self.unit
            woe, _ = woe_iv(good, bad, max(good.sum(), least), max(bad.sum(), least), self.unit)
            counts = good + bad
            rows += [
                (part.period, labels[i], counts[i], bad[i], bad[i] / counts[i], woe[i], counts[i] / counts.sum())
                for i in np.flatnonzero(counts)
            ]
        return pd.DataFrame(rows, columns=["period", "bin", "count", "count_bad", "bad_rate", "woe", "share"])

    def table(self) -> pd.DataFrame:
        """One row a bin: bin, count, count_good, count_bad, bad_rate, woe, iv; empty extra bins are left out."""
        good, bad = np.asarray(self.good), np.asarray(self.bad)
        with np.errstate(invalid="ignore"):
            rate = bad / (good + bad)
        table = pd.DataFrame(
            {
                "bin": self.bins.labels(),
                "count": good + bad,
                "count_good": good,
                "count_bad": bad,
                "bad_rate": rate,
                "woe": self.woe,
                "iv": self.bin_iv,
            }
        )
        shown = (table["count"] > 0) | (table.index < self.bins.ordinary)
        counts = ["count", "count_good", "count_bad"]
        if (table[counts] % 1 == 0).all(axis=None):
            table[counts] = table[counts].astype("int64")
        return table[shown].reset_index(drop=True)


@dataclass(frozen=True)
class Binning:
    """The bins of several features. WOE is ln(share of goods / share of bads): negative is riskier."""

    features: Mapping[str, BinnedFeature]

    @property
    def iv(self) -> dict[str, float]:
        """Information value of each feature."""
        return {name: binned.iv for name, binned in self.features.items()}

    def table(self, feature: str) -> pd.DataFrame:
        """The bins of ``feature`` as ``BinnedFeature.table``. Raises ``ValueError`` for an unknown one."""
        if feature not in self.features:
            raise ValueError(f"feature: {feature!r} was not binned; binned are {', '.join(self.features)}")
        return self.features[feature].table()

    def stability(self, feature: str) -> pd.DataFrame:
        """The bins of ``feature`` period by period; ``ValueError`` for an unknown one or without periods."""
        self.table(feature)
        if not self.features[feature].periods:
            raise ValueError(f"feature: {feature!r} was binned without period=; name a column of vintages")
        return self.features[feature].stability()

    def trends(self) -> dict[str, Direction]:
        """Direction of the risk of each number: +1, −1, or 0 when it is text, flat or turns."""
        return {name: binned.direction for name, binned in self.features.items()}

    def transform(self, data: DataFrame) -> DataFrame:
        """Add one column ``<feature>_woe`` per feature; plain column expressions, no shuffle.

        Empty bins (such as missing, when training had none) and unseen levels have WOE 0. Raises
        ``ValueError`` when a feature is absent or a WOE column is there already.
        """
        for name in self.features:
            require_column(data, "data", name)
            if f"{name}_woe" in data.columns:
                raise ValueError(f"data: there is a column {name + '_woe'!r} already; drop it")
        woes = [
            F.expr(case_sql(b.bins, [number_sql(woe) for woe in b.woe])).alias(f"{name}_woe")
            for name, b in self.features.items()
        ]
        return data.select("*", *woes)

    def to_json(self) -> str:
        """The binning as JSON text; ``from_json`` gives an equal value back."""
        return json.dumps({"format": FORMAT, "features": self.to_plain()}, allow_nan=False)

    def to_plain(self) -> list[dict[str, Any]]:
        """Plain values for JSON."""
        return [
            b.bins.to_dict()
            | {"good": b.good, "bad": b.bad, "woe": b.woe, "iv": b.bin_iv}
            | ({"periods": [part._asdict() for part in b.periods]} if b.periods else {})
            | ({"unit": b.unit} if b.unit != 1.0 else {})
            | ({"chance_iv": b.chance_iv} if b.chance_iv else {})
            for b in self.features.values()
        ]

    @staticmethod
    def from_plain(plain: Sequence[Mapping[str, Any]]) -> Binning:
        """The binning that ``to_plain`` wrote."""
        binned = (
            BinnedFeature(
                FeatureBins.from_dict(dict(p)),
                _floats(p["good"]),
                _floats(p["bad"]),
                _floats(p["woe"]),
                _floats(p["iv"]),
                tuple(PeriodCounts(q["period"], _floats(q["good"]), _floats(q["bad"])) for q in p.get("periods", ())),
                p.get("unit", 1.0),
                p.get("chance_iv", 0.0),
            )
            for p in plain
        )
        return Binning({b.bins.feature: b for b in binned})

    @staticmethod
    def from_json(text: str) -> Binning:
        """The binning that ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        return Binning.from_plain(read_json(text, FORMAT)["features"])


def read_json(text: str, wanted: str) -> dict[str, Any]:
    """A JSON object of the wanted ``format``; ``ValueError`` when it isn't one."""
    try:
        plain = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"text: this is not JSON ({error})") from error
    if not isinstance(plain, dict) or plain.get("format") != wanted:
        raise ValueError(f"text: this JSON is not of the format {wanted!r}")
    return plain


@dataclass(frozen=True)
class BinningRules:
    """How bins are made. ``trend`` is one for all, or a mapping of feature to trend (``auto`` for the others).

    ``min_share`` and ``min_bads`` hold for ordinary bins; ``splits`` are an analyst's own: edges of a number,
    groups of levels of a text (levels in no group are unseen, unless one group holds ``"*"``). ``stability``
    (0 to 1) prefers bins whose WOE keeps its sign in every period.
    """

    max_bins: int = 6
    min_share: float = 0.05
    min_bads: float = 0.0
    trend: str | Mapping[str, str] = "auto"
    splits: Splits | None = None
    stability: float = 0.0

    def check(self, features: Sequence[str]) -> None:
        """Raise ``ValueError`` naming the argument that cannot be."""
        if self.max_bins < 1 or int(self.max_bins) != self.max_bins:
            raise ValueError(f"max_bins: {self.max_bins!r} is not a whole number of at least 1")
        if not 0 <= self.min_share < 1:
            raise ValueError(f"min_share: {self.min_share!r} is not a share from 0 to below 1")
        if self.min_bads < 0:
            raise ValueError(f"min_bads: {self.min_bads!r} is negative")
        if not 0 <= self.stability <= 1:
            raise ValueError(f"stability: {self.stability!r} is not a share from 0 to 1")
        trends = self.trend if isinstance(self.trend, Mapping) else {None: self.trend}
        for value in trends.values():
            if value not in TRENDS:
                raise ValueError(f"trend: {value!r} is none of {', '.join(TRENDS)}")
        for role, named in (("trend", trends), ("splits", self.splits or {})):
            if strangers := [n for n in named if n is not None and n not in features]:
                raise ValueError(f"{role}: {strangers[0]!r} is not among the features")

    def merge_rules(self, feature: str, totals: Totals) -> MergeRules:
        """The rules for the pre-bins of one feature among rows of these ``totals``."""
        trend = self.trend.get(feature, "auto") if isinstance(self.trend, Mapping) else self.trend
        least, bads = self.min_share * totals.weight, self.min_bads * totals.unit
        return MergeRules(int(self.max_bins), least, bads, trend, self.stability, totals.unit)


def fit_binning(
    data: DataFrame,
    *,
    target: str,
    features: Sequence[str],
    special_values: Specials = None,
    max_bins: int = 6,
    min_share: float = 0.05,
    trend: str | Mapping[str, str] = "auto",
    min_bads: float = 0.0,
    splits: Splits | None = None,
    event: Any = None,
    weight: str | None = None,
    period: str | None = None,
    stability: float = 0.0,
    readings: Mapping[str, Reading] | None = None,
) -> Binning:
    """Bin ``features`` so that each has the largest information value that the rules allow.

    ``target`` is 1 for bad and 0 for good, or any column of which ``event`` is the bad value. Numbers (booleans too)
    get bins [a, b) from −∞ to +∞ at edges of few digits, whose risk follows ``trend`` (auto, ascending, descending,
    peak, valley, none); the levels of a text are ordered by risk and merged, those below ``min_share`` of all rows
    together first. Missing (null, NaN) and each of ``special_values`` (a list for all features of its type, or a
    mapping of feature to list) have bins of their own, beyond ``max_bins``. WOE is plain, but for a text of over 20
    levels that are not rare: there chance makes some levels look risky, so WOE and IV are those of counts that
    empirical Bayes has drawn together (``level_shrinkage``), beside the raw counts. Candidate edges may be
    approximate above 50,000 rows, counts are exact. ``period`` names a column of vintages, whose counts are kept
    apart; ``stability`` then lessens the value of a bin by that share of its rows in vintages of the other sign.
    ``readings`` say of texts how they are read as numbers; they stay with the bins, which take the same texts later.

    Small data are read once; larger in two scans (outcomes, counts) and a look at the first rows, with
    shuffles of counts only. Where those rows were not like the rest (sorted data), or a text has
    over 1,000 levels, its column is scanned again for a random sample or the common levels. Raises ``TypeError``
    or ``ValueError`` naming the argument or column.
    """
    rules = BinningRules(max_bins, min_share, min_bads, trend, splits, stability)
    given = source(
        data, target, features,
        event=event, weight=weight, special_values=special_values, period=period, readings=readings,
    )  # fmt: skip
    rules.check(given.features)
    if stability and not period:
        raise ValueError("stability: name the column of vintages with period=")
    return bin_rows(training(given), rules)


def bin_rows(rows: Training, rules: BinningRules) -> Binning:
    """``fit_binning`` on rows already brought."""
    pre_bins = rows.pre_bins(rules.min_share, partial(_edited, splits=rules.splits))
    merge_one = partial(_merged, totals=rows.totals, rules=rules, keep_periods=rows.source.period is not None)
    merged = rows.side_by_side(merge_one, pre_bins)
    return Binning({binned.bins.feature: binned for binned in merged})


def _edited(bins: FeatureBins, splits: Splits | None) -> FeatureBins:
    """The analyst's bins in the place of the candidates, when there are any."""
    if splits is None or bins.feature not in splits:
        return bins
    given = splits[bins.feature]
    if bins.kind == "text":
        return _edited_groups(bins, given)
    try:
        edges = [float(edge) for edge in given]  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"splits: the edges of {bins.feature!r} must be numbers") from error
    if not all(map(math.isfinite, edges)) or any(b <= a for a, b in pairwise(edges)):
        raise ValueError(f"splits: the edges of {bins.feature!r} must be finite and rise; −inf and inf are implied")
    return replace(bins, edges=tuple(edges))


def _edited_groups(bins: FeatureBins, given: Sequence[Any]) -> FeatureBins:
    groups = [(part,) if isinstance(part, str) else tuple(map(str, part)) for part in given]
    levels = [level for part in groups for level in part]
    if not groups or len(set(levels)) != len(levels):
        raise ValueError(f"splits: each level of {bins.feature!r} must stand in exactly one group")
    rest = next((i for i, part in enumerate(groups) if "*" in part), None)
    return replace(bins, groups=tuple(tuple(x for x in part if x != "*") for part in groups), rest=rest)


def _merged(counted: Counted, *, totals: Totals, rules: BinningRules, keep_periods: bool) -> BinnedFeature:
    """Merge the pre-bins of one feature."""
    bins, by_period = counted
    is_edited = rules.splits is not None and bins.feature in rules.splits
    order, starts = _as_given(bins) if is_edited else _merged_starts(bins, by_period, totals, rules)
    place = np.empty(bins.ordinary, np.int64)
    place[order] = np.searchsorted(starts, np.arange(bins.ordinary), side="right") - 1
    final = _final_bins(bins, place, starts)
    places = np.concatenate([place, np.arange(bins.size - bins.ordinary) + len(starts)])
    joins = (places[:, None] == np.arange(final.size)).astype(np.float64)
    joined = np.einsum("pcs,cb->pbs", by_period, joins)
    good, bad = joined.sum(axis=0).T
    woe, iv = woe_iv(good, bad, totals.good, totals.bad, totals.unit)
    chance = 0.0
    if bins.kind == "text" and not is_edited:
        honest = joins.T @ _without_chance(bins, by_period.sum(axis=0), totals.unit)
        shrunk, honest_iv = woe_iv(honest[:, 0], honest[:, 1], totals.good, totals.bad, totals.unit)
        if bins.ordinary > FEW_LEVELS:
            woe, iv = shrunk, honest_iv
        chance = _beyond_two(bins, by_period) * max(float(iv.sum() - honest_iv.sum()), 0.0)
    if bins.kind == "text" and final.rest is None:
        woe[-1] = iv[-1] = 0.0  # unseen levels are neutral
    vintages = zip(totals.periods, joined, strict=True) if keep_periods else ()
    periods = tuple(PeriodCounts(name, _floats(part[:, 0]), _floats(part[:, 1])) for name, part in vintages)
    return BinnedFeature(final, _floats(good), _floats(bad), _floats(woe), _floats(iv), periods, totals.unit, chance)


def _beyond_two(bins: FeatureBins, by_period: Floats) -> float:
    """The share of a text's chance that it owes to having more than two levels: two are as little as a number has."""
    filled = int((by_period.sum(axis=(0, 2))[: bins.ordinary] > 0).sum())
    return max(filled - 2, 0) / max(filled - 1, 1)


def _as_given(bins: FeatureBins) -> tuple[Integers, Integers]:
    """Order and starts of bins that nothing is merged of."""
    return np.arange(bins.ordinary), np.arange(bins.ordinary)


def _without_chance(bins: FeatureBins, table: Floats, unit: float) -> Floats:
    """The counts (code, good or bad) of a text with those of its levels as empirical Bayes has them."""
    levels = slice(0, bins.ordinary)
    shrunk = table.copy()
    shrunk[levels, 0], shrunk[levels, 1] = shrunk_counts(table[levels, 0], table[levels, 1], unit)
    return shrunk


def _merged_starts(
    bins: FeatureBins, by_period: Floats, totals: Totals, rules: BinningRules
) -> tuple[Integers, Integers]:
    """The order of the pre-bins (levels: from the safest up) and where in it bins start."""
    if bins.kind == "number":
        order = np.arange(bins.ordinary)
        return order, _starts(bins, by_period, order, totals, rules)
    if bins.ordinary > FEW_LEVELS:
        table = by_period.sum(axis=0)
        told = np.divide(_without_chance(bins, table, totals.unit), table, out=np.zeros_like(table), where=table > 0)
        by_period = by_period * told
    order = _risk_order(by_period.sum(axis=0)[: bins.ordinary])
    return order, _starts(bins, by_period, order, totals, rules)


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(map(float, values))


def _starts(bins: FeatureBins, by_period: Floats, order: Integers, totals: Totals, rules: BinningRules) -> Integers:
    limits = rules.merge_rules(bins.feature, totals)
    if bins.kind == "text":
        limits = replace(limits, trend="none")
    # A pre-bin without rows can't change any value: it joins the filled one before it.
    filled = np.flatnonzero(by_period.sum(axis=0)[order].sum(axis=1) > 0)
    if not len(filled):
        return np.array([0])

    vintages = by_period[:, order]

    def merged(begin: Integers, cost: Floats | None = None) -> Merged:
        """The best bins that start at some of these places in the order, and their value less their cost."""
        joined = np.add.reduceat(vintages, begin, axis=1)
        good, bad = joined.sum(axis=0).T
        periods = Periods(joined[..., 0], joined[..., 1], *by_period.sum(axis=1).T)
        search = merge_finely if cost is None else partial(merge, cost=cost)
        found = search(good, bad, totals.good, totals.bad, limits, periods)
        return Merged((0, *(int(begin[start]) for start in found.starts[1:])), found.iv)

    best = merged(np.concatenate([[0], filled[1:]]))
    found = best if bins.kind == "text" else at_round_edges(bins.edge_array, filled, best, merged)
    return np.array(found.starts, np.int64)


def _risk_order(table: Floats) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Levels from the safest to the riskiest; an order that is the same however the rows came."""
    count = table.sum(axis=1)
    risk = (table[:, 1] + 1e-9) / (count + 2e-9)
    return np.argsort(risk, kind="stable")


def _final_bins(bins: FeatureBins, place: np.ndarray[Any, Any], starts: np.ndarray[Any, Any]) -> FeatureBins:
    if bins.kind == "number":
        return replace(bins, edges=tuple(bins.edges[i - 1] for i in starts[1:]))
    members = [np.flatnonzero(place == k).tolist() for k in range(len(starts))]
    rest = None if bins.rest is None else int(place[bins.rest])
    return replace(bins, groups=merged_groups(bins.groups, members), rest=rest)
