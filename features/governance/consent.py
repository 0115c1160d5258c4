"""Consent by purpose: which rows may be used, by what people had said then and by what they say now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, StringType

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
    key_list,
    quoted,
)
from strata.features.engine.moments import moment
from strata.features.engine.point_in_time import point_in_time_join

HAS_CONSENT = "has_consent"
# No observation is older, so what holds from here holds for every row.
_ALWAYS = "0001-01-01"


@dataclass(frozen=True)
class PurposeRule:
    """``needed``: whether the person is asked for this purpose; ``default``: what holds while nothing was said.

    Opt-in purposes (marketing) have the default False, purposes on another legal basis that people may
    object to True; where no objection counts (a legal duty) consent is not needed. ``statement`` is the purpose
    as the table of consents names it (without it, as the rule does). ``by`` are columns for each value of which
    consent is given apart, such as the channel by which people are approached.
    """

    needed: bool
    default: bool = False
    statement: str | None = None
    by: tuple[str, ...] = ()


@dataclass(frozen=True)
class ConsentPolicy:
    """The rule of each purpose for which personal data may be read; any other purpose is refused."""

    purposes: Mapping[str, PurposeRule]

    def rule(self, purpose: str) -> PurposeRule:
        """The rule of a purpose; raises ``FeatureError`` naming the purposes that there are."""
        if purpose not in self.purposes:
            raise FeatureError(f"purpose: {purpose!r} has no rule; there are: {', '.join(sorted(self.purposes))}")
        return self.purposes[purpose]

    def consented(
        self, spine: DataFrame, consents: DataFrame, *, key: str | Sequence[str], at: str, purpose: str, now: date
    ) -> DataFrame:
        """``consented`` under the rule of ``purpose``; where no consent is needed every row has it.

        Columns of the rule's ``by`` that the spine has are part of the key. For one that it has not, a row has
        consent when one of the values does: a customer who may be approached by some channel may be counted
        for marketing, and a spine that names the channel is asked about that channel alone.
        """
        rule = self.rule(purpose)
        if not rule.needed:
            check_frame("spine", spine)
            check_new_names(spine, [HAS_CONSENT])
            return spine.withColumn(HAS_CONSENT, F.lit(True))
        check_frame("spine", spine)
        keys = list(dict.fromkeys([*key_list(key), *(name for name in rule.by if name in spine.columns)]))
        rest = [name for name in rule.by if name not in keys]
        asked: dict[str, Any] = {"purpose": rule.statement or purpose, "default": rule.default, "now": now}
        if rest:
            return _consented_for_some(spine, consents, keys=keys, at=at, rest=rest, **asked)
        return consented(spine, consents, key=keys, at=at, **asked)


def consented(
    spine: DataFrame,
    consents: DataFrame,
    *,
    key: str | Sequence[str],
    at: str,
    purpose: str,
    default: bool,
    now: date,
) -> DataFrame:
    """Add ``has_consent`` to every spine row, in number and identity: may it be used for ``purpose``?

    ``consents`` has the key, ``purpose`` (text), ``granted`` (boolean: granted or withdrawn), ``valid_from``
    and ``known_ts`` (dates or timestamps), one row a statement. A row has consent when both hold:

    - then: the last statement for the purpose with ``valid_from <= at`` and ``known_ts <= at`` gives it;
    - now: so does the last one in force and known at ``now`` (a date or datetime), because a withdrawal
      stops use from then on, however old the observation. A consent given later opens nothing older.

    Without a statement ``default`` holds. The last is the latest ``valid_from``, then the latest known;
    of two that are equal in both the withdrawal wins, and a null ``granted`` counts as one. A null key or
    time in the spine has no consent, whatever the default; a statement with one is never used
    (``unusable_rows`` counts them). By channel too: put the channel into the key.

    Plan: one scan and one shuffle of the spine, as in ``point_in_time_join``; two scans of the consents.
    Raises ``FeatureError`` or ``FeatureTypeError`` naming the argument and column.
    """
    keys, today = key_list(key), moment("now", now)
    _check(spine, consents, keys, at, purpose, default)
    said = _statements(consents, keys, purpose)
    states = {"consent_then": said, "consent_now": _in_force(said, keys, today)}
    found = point_in_time_join(spine, states, key=keys, at=at, valid_from="valid_from", known_ts="known_ts")
    allowed = all_present([quoted(name) for name in [*keys, at]])
    for name in states:
        allowed = allowed & _gives(name, default)
    return found.select(*(quoted(name) for name in spine.columns), allowed.alias(HAS_CONSENT))


def _consented_for_some(
    spine: DataFrame,
    consents: DataFrame,
    *,
    keys: list[str],
    at: str,
    rest: list[str],
    purpose: str,
    default: bool,
    now: date,
) -> DataFrame:
    """``consented`` for one of the values of the columns ``rest`` at least; ``default`` where nothing was ever said.

    Plan: that of ``consented`` for the spine's keys and times with each of their values, and one join.
    """
    _check(spine, consents, keys, at, purpose, default)
    for name in rest:
        check_column("key", consents, "consents", name)
    named = [quoted(key) for key in keys]
    values = consents.where(quoted("purpose") == purpose).select(*named, *map(quoted, rest)).distinct()
    cases = spine.select(*named, quoted(at)).distinct().join(values, keys, "inner")
    each = consented(cases, consents, key=[*keys, *rest], at=at, purpose=purpose, default=default, now=now)
    some = each.groupBy(*named, quoted(at)).agg(F.max(HAS_CONSENT).alias(HAS_CONSENT))
    found = spine.join(some, [*keys, at], "left")
    allowed = all_present([quoted(name) for name in [*keys, at]]) & F.coalesce(F.col(HAS_CONSENT), F.lit(default))
    return found.select(*(quoted(name) for name in spine.columns), allowed.alias(HAS_CONSENT))


def _check(spine: DataFrame, consents: DataFrame, keys: list[str], at: str, purpose: str, default: bool) -> None:
    check_frame("spine", spine)
    check_frame("consents", consents)
    check_instant("at", spine, "spine", at)
    check_keys(spine, consents, "consents", keys)
    check_new_names(spine, [HAS_CONSENT])
    for name in ("valid_from", "known_ts"):
        check_instant("consents", consents, "consents", name)
    for name, wanted in (("purpose", StringType), ("granted", BooleanType)):
        kind = check_column("consents", consents, "consents", name)
        if not isinstance(kind, wanted):
            raise FeatureTypeError(
                f"consents: column {name!r} is {kind.simpleString()}; {wanted.typeName()} is expected"
            )
    for argument, value, expected in (("purpose", purpose, str), ("default", default, bool)):
        if not isinstance(value, expected):
            raise FeatureTypeError(f"{argument}: {expected.__name__} is expected, not {type(value).__name__}")


def _statements(consents: DataFrame, keys: list[str], purpose: str) -> DataFrame:
    """What was said about one purpose: key, valid_from, known_ts, ``withdrawn``, which is true for what is unclear.

    Ties go to the greatest value, so it is the withdrawal that wins them.
    """
    return consents.where(quoted("purpose") == purpose).select(
        *(quoted(key) for key in keys),
        instant("valid_from").alias("valid_from"),
        instant("known_ts").alias("known_ts"),
        (~F.coalesce(quoted("granted"), F.lit(False))).alias("withdrawn"),
    )


def _in_force(said: DataFrame, keys: list[str], today: Column) -> DataFrame:
    """The statement of each key that is in force and known today, as a state that holds for observations of any age."""
    known = said.where((F.col("valid_from") <= today) & (F.col("known_ts") <= today))
    last = F.max(F.struct("valid_from", "known_ts", "withdrawn")).getField("withdrawn").alias("withdrawn")
    always = F.lit(_ALWAYS).cast("timestamp")
    latest = known.groupBy(*(quoted(key) for key in keys)).agg(last)
    return latest.withColumns({"valid_from": always, "known_ts": always})


def _gives(name: str, default: bool) -> Column:
    return ~F.coalesce(quoted(f"{name}__withdrawn"), F.lit(not default))
