"""Labels from behaviour: whether a case went bad in its performance window, as far as that is known."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import IntegralType

from strata.features.engine.inputs import (
    FeatureError,
    FeatureTypeError,
    all_present,
    check_column,
    check_frame,
    check_instant,
    check_keys,
    check_new_names,
    instant,
    key_column,
    key_list,
    quoted,
)
from strata.features.engine.moments import moment

STATES = ("good", "bad", "indeterminate", "immature", "unknown", "excluded")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class LabelSpec:
    """What counts as bad, in which performance window, by which columns of the delinquency records.

    A case observed at T is watched from T + ``gap_days``, exclusive, to ``window_months`` or
    ``window_days`` later, inclusive: days past due are a state, and the state at T itself belongs to
    the past that features may see. Days and months are the calendar's, in the session's (the bank's)
    zone; a month after the 31st is the last day of a shorter month, and a month after 28 February is
    28 March, so windows over month ends are safest from the first of a month.

    - ``bad_dpd``: bad when the most days past due in the window reach it.
    - ``indeterminate_dpd``: from it up to ``bad_dpd`` a case is neither; none is without it.
    - ``silent``: what a case without any record in the window is, unknown or good. One record is
      enough to be observed.
    - ``early_bads``: label a case bad before its window has ended. Young cases then show their bads
      and not their goods, so a bad rate over them is too high; for early warning, not for training.
    - ``key``, ``day`` (date or timestamp), ``dpd`` (whole number), ``known_ts``: columns of the records.

    Raises ``FeatureError`` or ``FeatureTypeError`` when the definition contradicts itself.
    """

    name: str
    key: str | tuple[str, ...]
    bad_dpd: int
    window_months: int | None = None
    window_days: int | None = None
    gap_days: int = 0
    indeterminate_dpd: int | None = None
    silent: str = "unknown"
    early_bads: bool = False
    day: str = "as_of_date"
    dpd: str = "days_past_due"
    known_ts: str = "known_ts"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise FeatureError(f"name: {self.name!r} is no label name; use small letters, digits and underscores")
        key_list(self.key)
        if (self.window_months is None) == (self.window_days is None):
            raise FeatureError(f"label {self.name}: give window_months or window_days, one of them")
        for argument, least in (
            ("window_months", 1),
            ("window_days", 1),
            ("gap_days", 0),
            ("bad_dpd", 1),
            ("indeterminate_dpd", 1),
        ):
            _check_whole(self.name, argument, getattr(self, argument), least)
        if self.indeterminate_dpd is not None and self.indeterminate_dpd >= self.bad_dpd:
            raise FeatureError(
                f"label {self.name}: indeterminate_dpd {self.indeterminate_dpd} is not below bad_dpd {self.bad_dpd}; "
                "lower it or leave it out"
            )
        if self.silent not in ("unknown", "good"):
            raise FeatureError(f"label {self.name}: silent is 'unknown' or 'good', not {self.silent!r}")

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """The columns that ``label`` adds: the target, its state, and the window's bounds."""
        return self.name, f"{self.name}_state", f"{self.name}_from", f"{self.name}_to"


def label(
    spine: DataFrame,
    delinquencies: DataFrame,
    spec: LabelSpec,
    *,
    at: str,
    known_until: date | None = None,
    as_of: date | None = None,
) -> DataFrame:
    """Add the outcome of every spine row, in number and identity, as far as it is known by ``known_until``.

    Columns added: ``<name>`` (int: 1 bad, 0 good, null otherwise), ``<name>_state``, ``<name>_from``
    and ``<name>_to`` (timestamps: the window's bounds, exclusive and inclusive). ``at`` is a column of
    dates (midnight in the session's zone) or timestamps, ``known_until`` a date or datetime, which may be given
    as ``as_of`` as well, the word of jobs and of ``Lake.latest``. Only records with ``known_ts <= known_until``
    are used; of the versions of one key and day the latest known wins, ties go to the worse, and one without days
    past due withdraws the record. The first that holds:

    - unknown: null key or time;
    - excluded: the last record at or before ``at`` is bad already, so the case can't go bad;
    - bad, with ``early_bads``;
    - immature: the window ends after ``known_until``, bad so far or not: taking the early bads of young
      cases alone would make them look worse than they are;
    - ``silent``: no record in the window, and not observed is not good;
    - bad, indeterminate or good by the most days past due in the window.

    Plan: one scan and one shuffle of each table by key, one join; each key's records meet its spine rows
    as one array. Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    until = _until(known_until, as_of)
    keys = _check(spine, delinquencies, spec, at)
    starts, ends = _window(spec, at)
    asked = spine.select(
        *(key_column(spine, key).alias(f"key{i}") for i, key in enumerate(keys)),
        *(instant(at).alias("at"), starts.alias("from"), ends.alias("to")),
        F.struct(*(quoted(name).alias(name) for name in spine.columns)).alias("spine"),
    )
    names = [f"key{i}" for i in range(len(keys))]
    met = asked.join(_histories(delinquencies, spec, until), names, "left")
    askable = all_present([F.col(name) for name in [*names, "at"]])
    stated = met.withColumns({"held": _held(), "worst": _worst()}).withColumn("state", _state(spec, askable, until))
    target = F.when(F.col("state") == "bad", 1).when(F.col("state") == "good", 0)
    answers = (target, F.col("state"), F.col("from"), F.col("to"))
    return stated.select(
        *(F.col("spine").getField(name).alias(name) for name in spine.columns),
        *(answer.alias(name) for answer, name in zip(answers, spec.columns)),
    )


def maturity(
    spine: DataFrame, spec: LabelSpec, *, at: str, known_until: date | None = None, as_of: date | None = None
) -> DataFrame:
    """One row a month of observation: ``observed_month`` (its first day), ``rows``, ``mature`` (window has ended).

    ``known_until``, or ``as_of``, is the day by which a window has to have ended. A null time is a month of its own,
    never mature. One scan, one small shuffle. Raises as ``label`` does.
    """
    check_frame("spine", spine)
    check_instant("at", spine, "spine", at)
    ended = _window(spec, at)[1] <= _until(known_until, as_of)
    month = F.trunc(instant(at).cast("date"), "month").alias("observed_month")
    return spine.groupBy(month).agg(F.count(F.lit(1)).alias("rows"), F.count_if(ended).alias("mature"))


def _until(known_until: date | None, as_of: date | None) -> Column:
    """The moment up to which outcomes are known, by whichever of its two names it was given."""
    if (known_until is None) == (as_of is None):
        raise FeatureError("known_until: give the day up to which outcomes are known, as known_until or as as_of")
    return moment("as_of", as_of) if known_until is None else moment("known_until", known_until)


def _check_whole(name: str, argument: str, value: int | None, least: int) -> None:
    if value is None and argument in ("window_months", "window_days", "indeterminate_dpd"):
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise FeatureTypeError(f"label {name}: {argument} is a whole number, not {value!r}")
    if value < least:
        raise FeatureError(f"label {name}: {argument} is at least {least}, not {value}")


def _check(spine: DataFrame, delinquencies: DataFrame, spec: LabelSpec, at: str) -> list[str]:
    check_frame("spine", spine)
    check_frame("delinquencies", delinquencies)
    check_instant("at", spine, "spine", at)
    keys = key_list(spec.key)
    check_keys(spine, delinquencies, "delinquencies", keys)
    check_instant("day", delinquencies, "delinquencies", spec.day)
    check_instant("known_ts", delinquencies, "delinquencies", spec.known_ts)
    kind = check_column("dpd", delinquencies, "delinquencies", spec.dpd)
    if not isinstance(kind, IntegralType):
        raise FeatureTypeError(
            f"dpd: column {spec.dpd!r} of delinquencies is {kind.simpleString()}; whole days past due are expected"
        )
    check_new_names(spine, spec.columns)
    return keys


def _window(spec: LabelSpec, at: str) -> tuple[Column, Column]:
    """The performance window of each spine row, (from, to], at the wall-clock time of ``at``."""
    starts = instant(at) + F.make_interval(days=F.lit(spec.gap_days))
    length = {"months": F.lit(spec.window_months)} if spec.window_months else {"days": F.lit(spec.window_days)}
    return starts, starts + F.make_interval(**length)


def _histories(delinquencies: DataFrame, spec: LabelSpec, until: Column) -> DataFrame:
    """One row a key: key0…, ``records`` (array of day and dpd), each day once, in the version known last."""
    keys = key_list(spec.key)
    names = [f"key{i}" for i in range(len(keys))]
    rows = delinquencies.select(
        *(key_column(delinquencies, key).alias(name) for key, name in zip(keys, names)),
        instant(spec.day).alias("day"),
        instant(spec.known_ts).alias("known_ts"),
        quoted(spec.dpd).alias("dpd"),
    )
    usable = all_present([*(F.col(name) for name in names), F.col("day")]) & (F.col("known_ts") <= until)
    # By key from the start, so that versions, records and the join with the spine share this one shuffle.
    by_key = rows.where(usable).repartition(*names)
    latest = F.max(F.struct("known_ts", "dpd")).getField("dpd").alias("dpd")
    records = by_key.groupBy(*names, "day").agg(latest).where(F.col("dpd").isNotNull())
    return records.groupBy(*names).agg(F.collect_list(F.struct("day", "dpd")).alias("records"))


def _held() -> Column:
    """Days past due of the last record at or before the observation; null without one."""
    before = F.filter("records", lambda record: record["day"] <= F.col("at"))
    return F.array_max(before).getField("dpd")


def _worst() -> Column:
    """The most days past due in the window; null without a record there."""
    inside = F.filter("records", lambda record: (record["day"] > F.col("from")) & (record["day"] <= F.col("to")))
    return F.array_max(F.transform(inside, lambda record: record["dpd"]))


def _state(spec: LabelSpec, askable: Column, until: Column) -> Column:
    worst = F.col("worst")
    bad = worst >= spec.bad_dpd
    state = F.when(~askable, "unknown").when(F.col("held") >= spec.bad_dpd, "excluded")
    if spec.early_bads:
        state = state.when(bad, "bad")
    state = state.when(F.col("to") > until, "immature").when(worst.isNull(), spec.silent).when(bad, "bad")
    if spec.indeterminate_dpd is not None:
        state = state.when(worst >= spec.indeterminate_dpd, "indeterminate")
    return state.otherwise("good")
