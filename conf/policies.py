"""Policies: what the bank has decided about credit, price and tiers, versioned and dated.

``policy.yml`` holds the standard versions, ``policies/*.yml`` of a bank's folder its own;
``bank_policies(folder).at(day)`` gives the one in force on a day. Values are checked for coherence when they are
read, so a decision never meets a gap in the price bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from strata.conf.contracts import Frozen

Share = Annotated[float, Field(ge=0, le=1)]
Score = Annotated[int, Field(ge=1)]
Outcome = Literal["refer", "decline"]
Unit = Literal["amount", "share", "count", "months", "flag"]


class PolicyError(ValueError):
    """A policy can't be used; the message names the file, the value and what is expected."""


class Rule(Frozen):
    """One row of a decision table: what is tested, against which limit, and what follows.

    ``above``, ``at_least`` and ``below`` compare with ``limit`` and never fire on null; ``missing`` fires on
    null; ``not_true`` fires on false and null. ``words`` name the measure in the decision's trace.
    """

    code: str = Field(pattern=r"^[A-Z]\d\d$")
    outcome: Outcome
    measure: str
    test: Literal["above", "at_least", "below", "missing", "not_true"]
    limit: float | None = None
    unit: Unit
    words: str

    @model_validator(mode="after")
    def _limit_fits_test(self) -> Rule:
        if (self.limit is None) != (self.test in ("missing", "not_true")):
            needs = "takes no limit" if self.limit is not None else "needs a limit"
            raise ValueError(f"rule {self.code}: the test {self.test!r} {needs}")
        return self


class CutOffs(Frozen):
    """Probabilities of bad from which an application is referred and declined."""

    refer_from: Share
    decline_from: Share

    @model_validator(mode="after")
    def _ordered(self) -> CutOffs:
        if self.refer_from > self.decline_from:
            raise ValueError("cut_offs: refer_from lies above decline_from; swap them")
        return self


class Affordability(Frozen):
    """Instalment over monthly income above which an application is referred and declined."""

    refer_above: float = Field(gt=0)
    decline_above: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Affordability:
        if self.refer_above > self.decline_above:
            raise ValueError("affordability: refer_above lies above decline_above; swap them")
        return self


class PriceBand(Frozen):
    """Risks below a probability (and not below the band before), and the probability they are priced at."""

    band: str
    below: Share
    probability: Share


class PricePolicy(Frozen):
    """How a year's rate is built up, its bounds, and the bands of risk that pay one price."""

    loss_given_default: Share
    exposure_share: Share
    funding_rate: Share
    operating_rate: Share
    capital_share: Share
    capital_cost: Share
    margin: Share
    lowest_rate: Share
    highest_rate: Share
    probability_months: int | None = Field(ge=1)
    bands: tuple[PriceBand, ...] = Field(min_length=1)

    @property
    def costs(self) -> float:
        """What a year costs before risk: funding, operating, capital and margin."""
        return self.funding_rate + self.operating_rate + self.capital_share * self.capital_cost + self.margin

    @model_validator(mode="after")
    def _coherent(self) -> PricePolicy:
        if self.lowest_rate > self.highest_rate:
            raise ValueError("price: lowest_rate lies above highest_rate; swap them")
        lower = 0.0
        for band in self.bands:
            if not lower <= band.probability < band.below:
                raise ValueError(f"price: band {band.band} is priced at a probability outside of itself")
            lower = band.below
        return self


class CreditPolicy(Frozen):
    """The decision table for credit applications and the price of those that may be approved."""

    cut_offs: CutOffs
    affordability: Affordability
    rules: tuple[Rule, ...]
    price: PricePolicy

    @model_validator(mode="after")
    def _coherent(self) -> CreditPolicy:
        if self.price.bands[-1].below < self.cut_offs.decline_from:
            raise ValueError("price: the last band ends before cut_offs.decline_from; some risks have no price")
        codes = [rule.code for rule in self.table()]
        if twice := sorted({code for code in codes if codes.count(code) > 1}):
            raise ValueError(f"rules: the code {twice[0]} stands twice; every rule needs its own")
        return self

    def table(self) -> tuple[Rule, ...]:
        """Every rule in the order of tests and trace: completeness, own rules, risk, affordability, price."""
        return (*_completeness(), *self.rules, *self._risk(), *self._affordability(), self._price_cap())

    def _risk(self) -> tuple[Rule, ...]:
        def rule(code: str, outcome: Outcome, limit: float) -> Rule:
            return Rule(
                code=code, outcome=outcome, measure="probability", test="at_least", limit=limit,
                unit="share", words="the probability of default",
            )  # fmt: skip

        return rule("S01", "refer", self.cut_offs.refer_from), rule("S02", "decline", self.cut_offs.decline_from)

    def _affordability(self) -> tuple[Rule, ...]:
        def rule(code: str, outcome: Outcome, limit: float) -> Rule:
            return Rule(
                code=code, outcome=outcome, measure="instalment_to_income_ratio", test="above", limit=limit,
                unit="share", words="the instalment's share of monthly income",
            )  # fmt: skip

        limits = self.affordability
        return rule("A01", "refer", limits.refer_above), rule("A02", "decline", limits.decline_above)

    def _price_cap(self) -> Rule:
        return Rule(
            code="P01", outcome="refer", measure="needed_rate", test="above", limit=self.price.highest_rate,
            unit="share", words="the yearly rate that covers the risk",
        )  # fmt: skip


def _completeness() -> tuple[Rule, ...]:
    def rule(code: str, measure: str, unit: Unit, words: str) -> Rule:
        return Rule(code=code, outcome="refer", measure=measure, test="missing", unit=unit, words=words)

    return (
        rule("X01", "requested_amount", "amount", "the amount asked for is not known or not positive"),
        rule("X02", "term_months", "months", "the term is not known or not positive"),
        rule("X03", "instalment_amt", "amount", "the instalment is not known or not positive"),
        rule("X04", "monthly_income_amt", "amount", "the monthly income is not known or not positive"),
        rule("X05", "probability", "share", "the probability of default is not known"),
    )


class ValueTier(Frozen):
    """Customers within the top share of the book by value (and not in a tier before)."""

    tier: str
    top_share: float = Field(gt=0, le=1)


class RiskTier(Frozen):
    """Customers with a probability below a bound (and not below the tier before); the last has none."""

    tier: str
    below: Share | None = None


class TierPolicy(Frozen):
    """The value x risk matrix and what is done in each cell."""

    value: tuple[ValueTier, ...] = Field(min_length=1)
    risk: tuple[RiskTier, ...] = Field(min_length=1)
    treatments: Mapping[str, Mapping[str, str]]
    unknown_treatment: str

    @model_validator(mode="after")
    def _coherent(self) -> TierPolicy:
        shares = [tier.top_share for tier in self.value]
        if shares[-1] != 1 or any(a >= b for a, b in pairwise(shares)):
            raise ValueError("tiers: the top shares of value must rise and end at 1")
        bounds = [tier.below for tier in self.risk[:-1] if tier.below is not None]
        ends_open = self.risk[-1].below is None and len(bounds) == len(self.risk) - 1
        if not ends_open or bounds != sorted(set(bounds)):
            raise ValueError("tiers: the bounds of risk must rise and the last tier must have none")
        cells = {(value.tier, risk.tier) for value in self.value for risk in self.risk}
        told = {(value, risk) for value, row in self.treatments.items() for risk in row}
        if odd := sorted(cells ^ told):
            raise ValueError(f"tiers: the treatment of {' x '.join(odd[0])} is missing or has no such tier")
        return self


class RfmSegment(Frozen):
    """A named range of scores; ends are inclusive, and a range that is not given takes every score."""

    segment: str
    recency: tuple[Score, Score] | None = None
    frequency: tuple[Score, Score] | None = None
    monetary: tuple[Score, Score] | None = None
    words: str


class RfmPolicy(Frozen):
    """How many score classes there are and what their combinations are called, first match first."""

    quantiles: int = Field(ge=2, le=10)
    segments: tuple[RfmSegment, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_with_all(self) -> RfmPolicy:
        last = self.segments[-1]
        if last.recency or last.frequency or last.monetary:
            raise ValueError(f"rfm: the last segment {last.segment!r} has ranges; it must take whoever is left")
        return self


class Policy(Frozen):
    """One version of everything the bank has decided, and the day it came into force."""

    version: str
    effective_from: date
    credit: CreditPolicy
    tiers: TierPolicy
    rfm: RfmPolicy


class Policies(Frozen):
    """All versions, in the order in which they came into force."""

    policies: tuple[Policy, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _ordered(self) -> Policies:
        if any(a.effective_from >= b.effective_from for a, b in pairwise(self.policies)):
            raise ValueError("policies: effective_from must rise from version to version")
        if len({policy.version for policy in self.policies}) < len(self.policies):
            raise ValueError("policies: a version stands twice; every policy needs its own")
        return self

    def at(self, day: date) -> Policy:
        """The policy in force on ``day``. Raises ``PolicyError`` before the first."""
        started = [policy for policy in self.policies if policy.effective_from <= day]
        if not started:
            first = self.policies[0]
            raise PolicyError(f"day: no policy is in force on {day}; the first starts on {first.effective_from}")
        return started[-1]


def bank_policies(folder: Path) -> Policies:
    """Every version in the ``policies`` of a bank's folder, oldest first; the standard ones where it has none.

    Raises ``PolicyError`` naming the file and the value that is wrong.
    """
    paths = sorted(folder.glob("policies/*.yml"))
    if not paths:
        return load_policies()
    versions = [policy for path in paths for policy in load_policies(str(path)).policies]
    ordered = sorted(versions, key=lambda policy: policy.effective_from)
    return _validated({"policies": ordered}, folder / "policies")


def load_policies(path: str | None = None) -> Policies:
    """The standard ``policy.yml``, or the file at ``path``.

    Raises ``PolicyError`` naming the file and the value that is wrong.
    """
    source = Path(path) if path else files("strata.conf").joinpath("policy.yml")
    if not source.is_file():
        raise PolicyError(f"{source}: no such policy file")
    try:
        values = yaml.safe_load(source.read_text())
    except yaml.YAMLError as error:
        raise PolicyError(f"{source}: this is not YAML: {' '.join(str(error).split())}") from error
    return _validated(values, source)


def _validated(values: object, source: object) -> Policies:
    try:
        return Policies.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PolicyError(f"{source}: {place or 'the file'}: {first['msg']}") from error
