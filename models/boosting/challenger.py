"""A scorecard's boosted challenger: trees on all screened features as they came, and a monotone one beside it.

The free challenger asks what the features can tell at all: numbers as they are (a special code is one more value),
missing values with a branch of their own, a column for each level of a text, no trend. The monotone one is what a
regulator would rather see: as monotone as the bins, a special value where its risk is, a text as its WOE. So the
difference of the first and the second is what monotonicity costs, that of the second and the card what the card's
form costs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.binning.feature_bins import FeatureBins
from strata.models.binning.woe_binning import BinnedFeature, Binning, read_json
from strata.models.boosting.trees import Boosting, BoostingSpec
from strata.models.boosting.tuning import RECIPES, Trial, fit_shaped, fit_tuned
from strata.models.readings.raw_values import UNREADABLE, check_columns, raw_values
from strata.models.samples.training_rows import column, require_column
from strata.models.scorecard.sql_export import case_sql, number_sql

FORMAT = "strata-challenger-1"
# A text of more levels is one column, its WOE, which empirical Bayes has taken the chance out of.
MOST_COLUMNS = 40


@dataclass(frozen=True)
class Input:
    """One column that the trees read, made of one feature: of a text whether it is ``level``, or the value of its bin.

    ``values`` are by code, None in a code is missing. With neither, a number goes in as it is, but that of each special
    value in ``specials`` is put in another's place.
    """

    name: str
    bins: FeatureBins
    level: str | None = None
    values: tuple[float | None, ...] | None = None
    specials: tuple[float | None, ...] = ()

    def column(self) -> Column:
        """The input as a Spark column, a double under ``name``."""
        return self._expression().alias(self.name)

    def _expression(self) -> Column:
        raw, reading = column(self.bins.feature), self.bins.reading
        if self.level is not None:
            return (raw == F.lit(self.level)).cast("double")
        if self.values is not None:
            texts = ["CAST(NULL AS DOUBLE)" if value is None else number_sql(value) for value in self.values]
            return F.expr(case_sql(self.bins, texts))
        value = reading.column(raw) if reading else raw.cast("double")
        found = value
        for special, place in zip(self.bins.specials, self.specials, strict=False):
            found = F.when(value == F.lit(special), F.lit(place).cast("double")).otherwise(found)
        return found

    def numbers(self, rows: pd.DataFrame) -> np.ndarray:
        """The input of rows on the driver."""
        raw = raw_values(rows[self.bins.feature], self.bins, UNREADABLE)
        if self.level is not None:
            return np.where(raw.isna(), np.nan, raw.map(lambda value: value == self.level).to_numpy(np.float64))
        if self.values is not None:
            return np.array(self.values, np.float64)[self.bins.codes(raw)]
        value = raw.to_numpy(np.float64)
        found = value.copy()
        for special, place in zip(self.bins.specials, self.specials, strict=False):
            found[value == special] = np.nan if place is None else place
        return found

    def to_plain(self) -> dict[str, Any]:
        """Plain values for JSON."""
        own = {"level": self.level, "values": self.values, "specials": self.specials}
        return {"name": self.name, "bins": self.bins.to_dict(), **own}

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> Input:
        """The input that ``to_plain`` wrote."""
        values = None if plain["values"] is None else tuple(plain["values"])
        bins = FeatureBins.from_dict(plain["bins"])
        return Input(plain["name"], bins, plain["level"], values, tuple(plain["specials"]))


@dataclass(frozen=True)
class Challenger:
    """Fitted trees with how they read a row; scores raw rows as a scorecard does.

    ``trials`` are the recipes that were tried, ``judged_on`` the rows that they were judged on.
    """

    inputs: tuple[Input, ...]
    boosting: Boosting
    trials: tuple[Trial, ...] = ()
    judged_on: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """The features that it reads."""
        return self.boosting.spec.subjects

    @property
    def reason_columns(self) -> tuple[str, ...]:
        """Names of the reason columns that ``score`` adds."""
        return self.boosting.reason_columns

    def score(self, data: DataFrame) -> DataFrame:
        """Add ``probability`` (of bad) and ``reason_1..n``, the features that raise the risk most; no shuffle.

        Raises ``ValueError`` when a feature is absent, and for types as ``Scorecard.score``.
        """
        for name in self.features:
            require_column(data, "data", name)
        check_columns(data, {one.bins.feature: one.bins for one in self.inputs}.values(), UNREADABLE)
        whole = data.select(F.struct("*").alias("__row"), *self.columns())
        scored = self.boosting.score(whole)
        added = ("probability", *self.reason_columns)
        kept = [F.col("__row")[name].alias(name) for name in data.columns if name not in added]
        return scored.select(*kept, *added)

    def columns(self) -> list[Column]:
        """What the trees read of a row, for a ``select`` of one's own."""
        return [one.column() for one in self.inputs]

    def score_pandas(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The columns that ``score`` adds, of rows on the driver. Raises ``ValueError`` when a feature is absent."""
        if absent := [name for name in self.features if name not in rows.columns]:
            raise ValueError(f"rows: there is no column {absent[0]!r}")
        numbers = pd.DataFrame({one.name: one.numbers(rows) for one in self.inputs}, index=rows.index)
        return self.boosting.score_pandas(numbers)

    def importance(self) -> pd.DataFrame:
        """See ``Boosting.importance``."""
        return self.boosting.importance()

    def to_json(self) -> str:
        """The whole challenger as JSON text; ``from_json`` gives an equal value back."""
        plain = {
            "format": FORMAT,
            "inputs": [one.to_plain() for one in self.inputs],
            "boosting": json.loads(self.boosting.to_json()),
            "trials": [vars(trial) for trial in self.trials],
            "judged_on": self.judged_on,
        }
        return json.dumps(plain, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Challenger:
        """The challenger that ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        plain = read_json(text, FORMAT)
        boosting = Boosting.from_json(json.dumps(plain["boosting"]))
        inputs = tuple(Input.from_plain(one) for one in plain["inputs"])
        return Challenger(inputs, boosting, tuple(Trial(**trial) for trial in plain["trials"]), plain["judged_on"])


def fit_challenger(
    data: DataFrame,
    binning: Binning,
    features: Sequence[str],
    *,
    target: str,
    weight: str | None = None,
    time: str | None = None,
    group: str | None = None,
    reasons: int = 0,
    is_monotone: bool = False,
    recipes: Mapping[str, Mapping[str, float]] = RECIPES,
    like: Challenger | None = None,
) -> Challenger:
    """Trees on ``features`` of ``data`` (0/1 ``target``), as deep and as many as rows held out bear, see ``fit_tuned``.

    Levels and special values are those of ``binning``. ``is_monotone`` binds the trees to the trends of the bins; its
    texts are WOE that the rows held out had a part in, so it is better not tuned itself but given the shape and number
    of the trees of another, ``like``. Raises ``ValueError`` naming an absent column and as ``fit_tuned`` does.
    """
    for name in features:
        require_column(data, "data", name)
    make = _monotone_inputs if is_monotone else _free_inputs
    made = [one for name in features for one in make(binning.features[name])]
    # Numbered, so that no name can be that of another column.
    kind = "monotone" if is_monotone else "free"
    inputs = tuple(replace(one, name=f"{kind} {turn}: {one.name}") for turn, one in enumerate(made))
    trends = {one.name: _trend(binning.features[one.bins.feature]) for one in inputs} if is_monotone else {}
    spec = BoostingSpec(
        target=target,
        features=tuple(one.name for one in inputs),
        sources=tuple(one.bins.feature for one in inputs),
        trends={name: trend for name, trend in trends.items() if trend},
        weight=weight,
        reasons=reasons,
    )
    kept = [column(name) for name in dict.fromkeys((target, weight, time, group)) if name]
    rows = data.select(*kept, *[one.column() for one in inputs])
    if like is not None:
        return Challenger(inputs, fit_shaped(rows, spec.shaped_like(like.boosting.spec)), like.trials, like.judged_on)
    found = fit_tuned(rows, spec, time=time, group=group, recipes=recipes)
    return Challenger(inputs, found.boosting, found.trials, found.judged_on)


def _trend(binned: BinnedFeature) -> int:
    """The direction in which the probability of bad may go: a text's WOE can only lower it."""
    return -1 if binned.bins.kind == "text" else binned.direction


def _free_inputs(binned: BinnedFeature) -> list[Input]:
    """A number as it is; of a text a column for each level, or its WOE when there are many."""
    bins = binned.bins
    if bins.kind == "number":
        return [Input(bins.feature, bins)]
    named = [level for group in bins.groups for level in group] + [str(special) for special in bins.specials]
    if len(named) > MOST_COLUMNS:
        return [Input(f"{bins.feature} by WOE", bins, values=_woes(binned))]
    alone = FeatureBins(bins.feature, "text")
    return [Input(f"{bins.feature} = {level}", alone, level) for level in named]


def _monotone_inputs(binned: BinnedFeature) -> list[Input]:
    """A text is its WOE; a number's special value stands where its risk is."""
    bins = binned.bins
    if bins.kind == "text":
        return [Input(bins.feature, bins, values=_woes(binned))]
    return [Input(bins.feature, bins, specials=tuple(_place(binned, i) for i in range(len(bins.specials))))]


def _woes(binned: BinnedFeature) -> tuple[float | None, ...]:
    return tuple(None if code == binned.bins.missing else woe for code, woe in enumerate(binned.woe))


def _place(binned: BinnedFeature, i: int) -> float | None:
    """A value in the ordinary bin whose WOE is nearest to that of special value ``i``; None when training had none."""
    code, edges = binned.bins.ordinary + i, binned.bins.edges
    if not edges or binned.good[code] + binned.bad[code] == 0:
        return None
    nearest = int(np.abs(np.asarray(binned.woe[: binned.bins.ordinary]) - binned.woe[code]).argmin())
    return edges[nearest - 1] if nearest else float(np.nextafter(np.float32(edges[0]), np.float32(-np.inf)))
