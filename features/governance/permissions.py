"""Who may use which features for what: purposes, direct identifiers, sensitive columns, consent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from enum import Enum

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.contracts import Personal
from strata.features.definitions.feature import Feature
from strata.features.definitions.view import WORD, FeatureView
from strata.features.engine.inputs import FeatureError, check_frame, check_new_names
from strata.features.governance.consent import HAS_CONSENT, ConsentPolicy
from strata.features.governance.purposes import STANDARD_POLICY


@dataclass(frozen=True)
class Consents:
    """The table of people's statements, the key by which rows find them, and the rule of each purpose.

    A row is about the person whom its key names, and only that person's statements are looked up: of an account
    with several holders, the one whom the spine names.
    """

    policy: ConsentPolicy
    table: str
    key: tuple[str, ...]


class Unsaid(Enum):
    """That a store was made without a word about consents, which is neither a table of them nor ``None``."""

    UNSAID = "unsaid"


UNSAID = Unsaid.UNSAID


def asks_people(consents: Consents | None | Unsaid, purpose: str) -> bool:
    """Whether the rows of a request for ``purpose`` have to be looked up in a table of consents.

    ``None`` says outright that consent is not asked for. Without a word about consents nobody is known to have said
    anything, so a purpose that people have to opt in to by the standard policy is refused by ``FeatureError``; other
    purposes, also those that the policy doesn't know, are answered.
    """
    if isinstance(consents, Unsaid):
        rule = STANDARD_POLICY.purposes.get(purpose)
        if rule is not None and rule.needed and not rule.default:
            raise FeatureError(
                f"consents: {purpose!r} may only use rows of people who have consented, and this store was made "
                "without consents; make it with consents=Consents(policy, table, key), or with consents=None if "
                "consent is not to be checked here"
            )
        return False
    return consents is not None and consents.policy.rule(purpose).needed


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


def with_consent(
    consents: Consents | None | Unsaid,
    spine: DataFrame,
    read: Callable[[str], DataFrame],
    *,
    purpose: str,
    at: str,
    now: date | None,
) -> DataFrame:
    """The spine with ``has_consent``: whether each row may be used for ``purpose``; ``read`` gives the table.

    True for all rows where no consent is asked for. Raises ``FeatureError`` when consent can't be looked up:
    without ``now``, or without the key in the spine, as in a spine of accounts that doesn't name their customers.
    """
    if not isinstance(consents, Consents) or not asks_people(consents, purpose):
        check_frame("spine", spine)
        check_new_names(spine, [HAS_CONSENT])
        return spine.withColumn(HAS_CONSENT, F.lit(True))
    if now is None:
        raise FeatureError(f"now: {purpose!r} needs consent, so say on which day it is asked for")
    check_frame("spine", spine)
    if missing := [name for name in consents.key if name not in spine.columns]:
        raise FeatureError(
            f"spine: it has no column {missing[0]!r}, by which consent to {purpose!r} is looked up in the table "
            f"{consents.table!r}; add the person whom each row is about, since consent can't be checked without"
        )
    table = read(consents.table)
    return consents.policy.consented(spine, table, key=consents.key, at=at, purpose=purpose, now=now)


def check_consent(asked: DataFrame, purpose: str) -> None:
    """Raise ``FeatureError`` when a row of ``asked``, which has ``has_consent``, has none. One scan."""
    rows, refused = asked.agg(F.count(F.lit(1)), F.count_if(~F.col(HAS_CONSENT))).collect()[0]
    if refused:
        raise FeatureError(
            f"spine: {refused:,} of {rows:,} rows have no consent for {purpose!r}; keep those of "
            f"consented(spine, {purpose!r}) where {HAS_CONSENT}"
        )
