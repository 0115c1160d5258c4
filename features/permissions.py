"""Who may use which features for what: purposes, direct identifiers, sensitive columns, consent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal
from strata.features.consent import HAS_CONSENT, ConsentPolicy
from strata.features.definitions import WORD, Feature, FeatureView
from strata.features.inputs import FeatureError


@dataclass(frozen=True)
class Consents:
    """The table of people's statements, the key by which rows find them, and the rule of each purpose."""

    policy: ConsentPolicy
    table: str
    key: tuple[str, ...]


def check_use(
    features: Sequence[Feature], views: Mapping[str, FeatureView], purpose: str, sensitive: AbstractSet[str]
) -> None:
    """Raise ``FeatureError`` naming the first feature that may not be used for ``purpose``, and why."""
    for feature in features:
        if refused := refusal(feature, views[feature.view], purpose, sensitive):
            raise FeatureError(refused)


def refusal(feature: Feature, view: FeatureView, purpose: str, sensitive: AbstractSet[str]) -> str | None:
    """Why a feature of ``view`` may not be used for ``purpose``, as one sentence; ``None`` when it may.

    It is for other purposes, identifies a person, or is made of a column of ``sensitive``: such columns are
    found as words in the SQL of its measures, so a ``prepare`` function must not rename them.
    """
    who = f"{feature.name} of view {feature.view}"
    if purpose not in feature.purposes:
        allowed = ", ".join(sorted(feature.purposes))
        return f"purpose: feature {who} is not for {purpose!r}, only for {allowed}"
    if feature.personal is Personal.DIRECT:
        return f"features: {who} identifies a person (class direct); leave it out"
    if touched := sensitive & columns_of(feature, view):
        return (
            f"features: {who} is made of the sensitive column {min(touched)!r}; leave it out "
            "(proxy_report measures what stands in for it)"
        )
    return None


def columns_of(feature: Feature, view: FeatureView) -> set[str]:
    """The words of the SQL that a feature and what it is derived from are made of: its columns are among them.

    A column that a link brings under another name stands there by both.
    """
    found: set[str] = set()
    for part in view.needed([feature.name]):
        words = set(WORD.findall(part.measure))
        links = view.by_name[part.view].links
        found |= words | {link.renamed[word] for link in links for word in words & set(link.renamed)}
    return found


def check_consent(asked: DataFrame, purpose: str) -> None:
    """Raise ``FeatureError`` when a row of ``asked``, which has ``has_consent``, has none. One scan."""
    rows, refused = asked.agg(F.count(F.lit(1)), F.count_if(~F.col(HAS_CONSENT))).collect()[0]
    if refused:
        raise FeatureError(
            f"spine: {refused:,} of {rows:,} rows have no consent for {purpose!r}; keep those of "
            f"consented(spine, {purpose!r}) where {HAS_CONSENT}"
        )
