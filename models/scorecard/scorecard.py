"""The scorecard: a spec fitted to a training set; scored as one Spark SQL expression; kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pandas as pd
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from strata.models.binning.bin_counts import Training
from strata.models.binning.woe_binning import BinnedFeature, Binning, BinningRules, Splits, bin_rows, read_json
from strata.models.readings.raw_values import UNREADABLE, check_columns
from strata.models.readings.text_readings import Reading
from strata.models.samples.training import training
from strata.models.samples.training_rows import Source, Specials, require_column, source
from strata.models.scorecard.drop_worth import DropWorth, signs_worth
from strata.models.scorecard.feature_selection import INTERCEPT, Fitted, screen_alone, select_and_fit
from strata.models.scorecard.pmml import scorecard_pmml
from strata.models.scorecard.points_scale import Points, Scale, score_rows, score_sql
from strata.models.scorecard.selection_rules import SelectionRules, Verdict
from strata.models.scorecard.sql_export import DIALECTS, SPARK, Dialect

FORMAT = "strata-scorecard-1"


@dataclass(frozen=True)
class ScorecardSpec:
    """What a scorecard is made of: target and features, all else has a default.

    Binning as in ``fit_binning``; selection as in ``SelectionRules`` (``forced`` stay in, ``forbidden`` stay
    out, None switches a threshold off); scale as in ``Scale``; ``reasons`` is the number of reason columns.
    ``event`` names the bad value of the target; ``weight`` is a column; ``period`` a column of vintages, over
    which ``drift`` says what features must go and ``stability`` prefers bins that keep their sign; ``signs`` (auto,
    right, any) whether a coefficient may count against its feature's own WOE; ``selection`` is ``stepwise`` or
    ``lasso``, whose folds are drawn from ``seed``. ``readings`` say of texts how they are read as numbers (feature to
    ``Reading``); the scorecard keeps them and scores such texts as they come.
    """

    target: str
    features: Sequence[str]
    event: Any = None
    weight: str | None = None
    special_values: Specials = None
    max_bins: int = 10
    min_share: float = 0.05
    min_bads: float = 0.0
    trend: str | Mapping[str, str] = "auto"
    splits: Splits | None = None
    period: str | None = None
    stability: float = 0.0
    forced: Sequence[str] = ()
    forbidden: Sequence[str] = ()
    min_iv: float = 0.01
    max_correlation: float | None = 0.9
    max_vif: float | None = 10.0
    max_p_value: float | None = None
    max_features: int | None = None
    max_psi: float | None = 0.25
    penalty: float = 1.0
    bads_per_feature: float = 5.0
    selection: str = "stepwise"
    seed: int = 0
    base_score: float = 600.0
    base_odds: float = 50.0
    pdo: float = 20.0
    grades: Sequence[tuple[str, float]] = Scale.grades
    reasons: int = 4
    readings: Mapping[str, Reading] | None = None
    drift: str = "reversed"
    signs: str = "auto"

    def __post_init__(self) -> None:
        self.binning_rules.check(tuple(self.features))
        self.selection_rules.check()
        self.scale.check()
        if self.reasons < 0:
            raise ValueError(f"reasons: {self.reasons!r} is negative")
        if self.stability and not self.period:
            raise ValueError("stability: name the column of vintages with period=")
        for role in ("forced", "forbidden"):
            if strangers := [name for name in getattr(self, role) if name not in self.features]:
                raise ValueError(f"{role}: {strangers[0]!r} is not among the features")
        if both := set(self.forced) & set(self.forbidden):
            raise ValueError(f"forced: {min(both)!r} is forbidden too; keep it in one list")

    @property
    def binning_rules(self) -> BinningRules:
        """How bins are made."""
        return BinningRules(self.max_bins, self.min_share, self.min_bads, self.trend, self.splits, self.stability)

    @property
    def selection_rules(self) -> SelectionRules:
        """How features are chosen."""
        return SelectionRules(
            tuple(self.forced),
            tuple(self.forbidden),
            self.min_iv,
            self.max_correlation,
            self.max_vif,
            self.max_p_value,
            self.max_features,
            self.max_psi,
            self.penalty,
            self.bads_per_feature,
            self.selection,
            self.seed,
            self.drift,
            self.signs,
        )

    @property
    def scale(self) -> Scale:
        """How log-odds become points."""
        grades = tuple((name, float(limit)) for name, limit in self.grades)
        return Scale(float(self.base_score), float(self.base_odds), float(self.pdo), grades)

    def source(self, data: DataFrame) -> Source:
        """The training columns of ``data``, checked against its schema."""
        return source(
            data,
            self.target,
            self.features,
            event=self.event,
            weight=self.weight,
            special_values=self.special_values,
            period=self.period,
            readings=self.readings,
        )


@dataclass(frozen=True)
class Scorecard:
    """A fitted scorecard: whole points by bin, a higher score is safer.

    The score decides: ``probability`` (of bad) is what its points say, so score and probability never
    disagree. ``coefficients``, ``standard_errors`` and ``p_values`` are of the regression of bad on WOE
    (``(intercept)`` first). A coefficient is negative, because WOE falls with risk; that of a forced feature, or of any
    where right signs would cost too much (``SelectionRules``), may be positive: ``turned`` names such features.
    """

    target: str
    scale: Scale
    reasons: int
    binning: Binning
    points: Points
    coefficients: Mapping[str, float]
    standard_errors: Mapping[str, float]
    p_values: Mapping[str, float]
    log_likelihood: float
    selection: tuple[Verdict, ...]
    training: Mapping[str, float] = field(default_factory=dict)

    @property
    def features(self) -> tuple[str, ...]:
        """The features in the model, in the order of the spec."""
        return tuple(self.points.by_feature)

    @property
    def turned(self) -> tuple[str, ...]:
        """The features in the model whose coefficient counts against their own WOE."""
        return tuple(name for name in self.features if self.coefficients[name] > 0)

    @property
    def kept(self) -> dict[str, BinnedFeature]:
        """The bins of the features in the model."""
        return {name: self.binning.features[name] for name in self.features}

    def points_table(self) -> pd.DataFrame:
        """One row a bin of a kept feature, the base first: feature, bin, points, woe, count, bad_rate, lost.

        Bins without training rows are there too: they tell what an unexpected value is worth. ``lost`` is
        against the best attainable bin.
        """
        base = {"feature": "(base)", "bin": "", "points": self.points.base}
        rows = [base, *(row for name, binned in self.kept.items() for row in self._point_rows(name, binned))]
        return pd.DataFrame(rows, columns=["feature", "bin", "points", "woe", "count", "bad_rate", "lost"])

    def _point_rows(self, name: str, binned: BinnedFeature) -> list[dict[str, Any]]:
        lost, labels = self.points.lost(name, binned), binned.bins.labels()
        counts = [(good + bad, bad) for good, bad in zip(binned.good, binned.bad, strict=True)]
        return [
            {
                "feature": name,
                "bin": labels[code],
                "points": self.points.by_feature[name][code],
                "woe": binned.woe[code],
                "count": count,
                "bad_rate": bad / count if count else None,
                "lost": lost[code],
            }
            for code, (count, bad) in enumerate(counts)
        ]

    def selection_table(self) -> pd.DataFrame:
        """One row a candidate: feature, kept, stage, reason, iv, coefficient, standard_error, p_value."""
        table = pd.DataFrame(self.selection, columns=list(Verdict._fields))
        named = {"coefficient": self.coefficients, "standard_error": self.standard_errors, "p_value": self.p_values}
        table["iv"] = table["feature"].map(self.binning.iv)
        for column_name, values in named.items():
            table[column_name] = table["feature"].map(values)
        return table

    def score(self, data: DataFrame, *, unreadable: float | None = UNREADABLE) -> DataFrame:
        """Add score, probability (of bad), grade and reason_1..n; column expressions only, no shuffle.

        A reason is a feature that lost points against its best bin, the greatest loss first; null when no
        further feature lost any. Raises ``ValueError`` when a feature is absent or an added column exists, and
        ``TypeError`` when a feature is a day, a list or the like. Where a number comes as text, one scan of such
        columns counts first what can't be read: ``ValueError`` when it is more than the share ``unreadable`` of the
        filled values (None: nothing is counted), else it is scored as missing.
        """
        for name in self.features:
            require_column(data, "data", name)
        check_columns(data, [binned.bins for binned in self.kept.values()], unreadable)
        added = self.columns()
        if taken := [name for name in added if name in data.columns]:
            raise ValueError(f"data: there is a column {taken[0]!r} already; rename or drop it")
        return data.select("*", *added.values())

    def columns(self) -> dict[str, Column]:
        """The columns that ``score`` adds, by name, for a ``select`` of one's own."""
        return {name: F.expr(text).alias(name) for name, text in self._sql(SPARK).items()}

    def _sql(self, dialect: Dialect) -> dict[str, str]:
        return score_sql(self.points, self.kept, self.scale, self.reasons, dialect)

    def score_pandas(self, rows: pd.DataFrame, *, unreadable: float = UNREADABLE) -> pd.DataFrame:
        """The columns that ``score`` adds, of rows on the driver, by numpy; texts are objects.

        A text that can't be read as a number is scored as missing, with a warning for each such column. Raises
        ``ValueError`` when a feature is absent or more than the share ``unreadable`` of its filled values can't be
        read, ``TypeError`` when it is a day, a list or the like.
        """
        if absent := [name for name in self.features if name not in rows.columns]:
            raise ValueError(f"rows: there is no column {absent[0]!r}")
        return score_rows(rows, self.points, self.kept, self.scale, self.reasons, unreadable)

    def to_sql(self, dialect: str = "spark") -> str:
        """A SELECT list giving score, probability, grade, reason_1..n: ``SELECT id, {sql} FROM t``.

        ``spark`` is Spark SQL; ``ansi`` is standard SQL as DuckDB and PostgreSQL run it, names in double quotes.
        A text is compared exactly, as those two do; a database that ignores case or trailing spaces by its
        collation needs a binary one. PostgreSQL has no cast from boolean to double: give it 0 and 1. Raises
        ``ValueError`` for another dialect.
        """
        if dialect not in DIALECTS:
            raise ValueError(f"dialect: {dialect!r} is none of {', '.join(DIALECTS)}")
        return ",\n".join(f"{text} AS {name}" for name, text in self._sql(DIALECTS[dialect]).items())

    def to_pmml(self) -> str:
        """A PMML 4.4 Scorecard, see ``models/scorecard/pmml.py`` for what a consumer must know."""
        return scorecard_pmml(self.points, self.kept, self.scale, self.reasons)

    def to_json(self) -> str:
        """The whole scorecard as JSON text; ``from_json`` gives an equal value back."""
        plain = {
            "format": FORMAT,
            "target": self.target,
            "scale": asdict(self.scale),
            "reasons": self.reasons,
            "base_points": self.points.base,
            "points": {name: list(points) for name, points in self.points.by_feature.items()},
            "woe": "ln(share of goods / share of bads)",
            "coefficients": self.coefficients,
            "standard_errors": self.standard_errors,
            "p_values": self.p_values,
            "log_likelihood": self.log_likelihood,
            "selection": [verdict._asdict() for verdict in self.selection],
            "training": self.training,
            "binning": self.binning.to_plain(),
        }
        return json.dumps(plain, indent=1, allow_nan=False)

    @staticmethod
    def from_json(text: str) -> Scorecard:
        """The scorecard that ``to_json`` wrote. Raises ``ValueError`` when the text is something else."""
        plain = read_json(text, FORMAT)
        scale = plain["scale"] | {"grades": tuple((name, limit) for name, limit in plain["scale"]["grades"])}
        by_feature = {name: tuple(points) for name, points in plain["points"].items()}
        return Scorecard(
            plain["target"],
            Scale(**scale),
            plain["reasons"],
            Binning.from_plain(plain["binning"]),
            Points(plain["base_points"], by_feature),
            plain["coefficients"],
            plain["standard_errors"],
            plain["p_values"],
            plain["log_likelihood"],
            tuple(Verdict(**verdict) for verdict in plain["selection"]),
            plain["training"],
        )


def fit_scorecard(data: DataFrame, spec: ScorecardSpec) -> Scorecard:
    """Bin, select, regress and scale ``data`` (one row a case) as ``spec`` says.

    Up to 50,000 rows the data are read once and fitted on the driver; above, they are binned in two scans, then
    the codes of features that pass on their own (two bytes a value) are cached, and every further step is one
    scan of them that sums bounded arrays, a few per kept feature. Where correlation or signs send features away, one
    more scan brings up to 20,000 rows, on which it is measured what that costs (see ``signs`` in ``SelectionRules``).
    Raises ``TypeError`` or ``ValueError`` naming the argument or column, and ``ValueError`` when no feature
    survives the selection.
    """
    rows = training(spec.source(data))
    card = fit_binned(rows, spec, bin_rows(rows, spec.binning_rules))
    require_features(card)
    return card


def require_features(card: Scorecard) -> None:
    """Raise ``ValueError`` when no feature survived the selection, with the reason of the best candidate."""
    if not card.features:
        first = max(card.selection, key=lambda verdict: card.binning.iv[verdict.feature])
        raise ValueError(
            f"features: none survives the selection, the best is {first.feature!r}, {first.reason}; "
            "give features that tell good from bad, or name some that must stay with forced (--forced)"
        )


def fit_binned(rows: Training, spec: ScorecardSpec, binning: Binning) -> Scorecard:
    """``fit_scorecard`` on rows already brought and binned; a scorecard without features is an answer here."""
    rules = spec.selection_rules
    card = _fit_selected(rows, spec, binning, rules)
    worth = signs_worth(rows, binning, card.selection, spec.binning_rules, rules) if rules.signs == "auto" else None
    if worth is None or not worth.signs_are_costly:
        return card
    return _with_reasons(_fit_selected(rows, spec, binning, replace(rules, signs="any")), worth)


def _with_reasons(card: Scorecard, worth: DropWorth) -> Scorecard:
    """The card that says of each feature that counts against its own WOE why it may."""
    reason = f"kept against its own WOE: right signs would cost {worth.cost:.3f} AUC out of fold"
    turned = set(card.turned)
    verdicts = (
        v._replace(reason=reason) if v.feature in turned and v.reason != "forced" else v for v in card.selection
    )
    return replace(card, selection=tuple(verdicts))


def _fit_selected(rows: Training, spec: ScorecardSpec, binning: Binning, rules: SelectionRules) -> Scorecard:
    """Select by ``rules``, regress and scale."""
    dropped = screen_alone(binning, rules)
    left = [binned for name, binned in binning.features.items() if name not in dropped]
    coded = rows.coded([binned.bins for binned in left])
    try:
        fitted, verdicts = select_and_fit(coded, left, rows.totals.bad / rows.totals.unit, rules)
    finally:
        coded.release()
    found = dropped | {verdict.feature: verdict for verdict in verdicts}
    return _scaled(rows, spec, binning, fitted, tuple(found[name] for name in binning.features))


def _scaled(
    rows: Training, spec: ScorecardSpec, binning: Binning, fitted: Fitted, verdicts: tuple[Verdict, ...]
) -> Scorecard:
    scale, totals, kept = spec.scale, rows.totals, [verdict.feature for verdict in verdicts if verdict.kept]
    beta = fitted.by_name(fitted.beta)
    by_feature = {
        name: tuple(round(scale.points(beta[name] * woe)) for woe in binning.features[name].woe) for name in kept
    }
    return Scorecard(
        spec.target,
        scale,
        spec.reasons,
        binning,
        Points(round(scale.offset + scale.points(beta[INTERCEPT])), by_feature),
        fitted.by_name(fitted.beta),
        fitted.by_name(fitted.errors),
        fitted.by_name(fitted.p_values),
        float(fitted.log_likelihood),
        verdicts,
        {"rows": totals.rows, "good": totals.good, "bad": totals.bad, "candidates": len(binning.features)},
    )
