"""When a feature has no value, in plain words, from its definition."""

from __future__ import annotations

import re

from strata.features.definitions.feature import Feature
from strata.features.definitions.view import FeatureView
from strata.features.engine.aggregates import ZERO_WHEN_EMPTY, words_of_span

_DIVISOR = re.compile(r"nullif\((.+?), 0\)")
_UNLESS = re.compile(r"^CASE WHEN (.+?) THEN (?!.*\bELSE\b)", re.DOTALL)
_LONGEST = 100
# SQL that says itself what a missing input is worth.
_CATCHES = re.compile(r"\bcoalesce\(|\bIS (NOT )?NULL\b", re.IGNORECASE)


def missing_rule(feature: Feature, view: FeatureView) -> str:
    """What the feature is when there is nothing to compute it from; ``view`` is the one that it stands in.

    Counts and sums of nothing are 0, other aggregates and states are null, and derived features follow from what
    they divide by and from their inputs. What the source itself leaves out counts for nothing.
    """
    if feature.inputs:
        return "; ".join(_of_derived(feature, view)) or f"never null: {_why_never(feature, view)}"
    if feature.days is None:
        return "null before the first state that is known, and where the state says nothing"
    if feature.agg in ZERO_WHEN_EMPTY:
        return f"0 when nothing counts within {words_of_span(feature.days)}"
    few = "fewer than two values count" if feature.agg == "std" else "nothing counts"
    return f"null when {few} within {words_of_span(feature.days)}"


def can_be_null(feature: Feature, view: FeatureView) -> bool:
    """Whether the feature's definition leaves room for a null."""
    return bool(_of_derived(feature, view)) if feature.inputs else feature.agg not in ZERO_WHEN_EMPTY


def _of_derived(feature: Feature, view: FeatureView) -> list[str]:
    """Each way in which a derived feature comes to be null; none when there is none."""
    sql = feature.formula
    said = [f"null where {_bare(divisor)} is 0" for divisor in dict.fromkeys(_DIVISOR.findall(sql))]
    said += [f"null unless {_short(condition)}" for condition in _UNLESS.findall(sql)]
    empty = _nullable_inputs(feature, view)
    if empty and not _CATCHES.search(sql):
        said.append(f"null where {' or '.join(empty)} is null")
    return said


def _nullable_inputs(feature: Feature, view: FeatureView) -> list[str]:
    known = {part.name: part for part in view.needed([feature.name])}
    return [name for name in feature.inputs if can_be_null(known[name], view.by_name[known[name].view])]


def _why_never(feature: Feature, view: FeatureView) -> str:
    if _nullable_inputs(feature, view):
        return "the formula says what a missing input is worth"
    return "what it is made of is 0 when nothing counts"


def _short(condition: str) -> str:
    return condition if len(condition) <= _LONGEST else "the condition at the start of its formula holds"


def _bare(sql: str) -> str:
    """SQL without the brackets around the whole of it."""
    return sql[1:-1] if sql.startswith("(") and sql.endswith(")") else sql
