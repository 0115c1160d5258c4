"""The simulated bank's numbers: ``simulation.yml``, read into frozen values that refuse unknown keys."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import Field

from strata.conf.contracts import Frozen

Share = Field(ge=0, le=1)
Shares = Mapping[str, float]


class People(Frozen):
    """Who they are, what they earn, how their lives change."""

    ages: Shares
    education: Shares
    median_income: float
    income_spread: float
    income_from_ability: float
    ownership: Shares
    self_employed: float = Share
    job_loss_monthly: float = Share
    months_without_work: int
    moves_yearly: float = Share
    new_job_yearly: float = Share
    giant_employer: float = Share
    customers_per_employer: int
    at_start: float = Share


class Contributions(Frozen):
    """Social insurance and housing fund."""

    social_rate: float = Share
    fund_rates: tuple[float, ...]
    base_floor: int
    base_ceiling: int
    lag_days: int


class Spending(Frozen):
    """Payments by purpose, and when they are made."""

    purposes: Shares
    frequency: Shares
    essential: tuple[str, ...]
    payments_monthly: float
    share_of_income: float = Share
    weekend: float
    holiday: float
    before_spring_festival: float
    spread: float
    dormant: float = Share
    wakeable: float = Share


class LoanProduct(Frozen):
    """A kind of loan; ``incomes`` is the median amount in monthly incomes, ``pd`` that of 90+ DPD in twelve months."""

    share: float = Share
    rate: float
    incomes: float
    terms: tuple[int, ...]
    pd: float = Share


class Credit(Frozen):
    """Applications, the old policy, hazards, cure and recovery."""

    applies_monthly: float = Share
    history_months: int
    products: Mapping[str, LoanProduct]
    drivers: Mapping[str, float]
    seasoning: tuple[float, ...]
    slip_monthly: float = Share
    slip_two_months: float = Share
    cures: float = Share
    recovery: float = Share
    contacted_cures: float = Share
    refused: float = Share
    policy_sees: Mapping[str, float]
    accepts: float = Share
    price_elasticity: float
    contagion: float


class Drift(Frozen):
    """What changes once, and when: a share of the simulated months."""

    after: float = Share
    hazard: float


class Groups(Frozen):
    """Planted fraud rings, guarantee circles and hub phones, as shares of the customers."""

    ring_share: float = Share
    ring_size: int
    circle_share: float = Share
    circle_size: int
    ring_default: float = Share
    hub_phones: int
    hub_phone_owners: float = Share


class Social(Frozen):
    """Contacts, calls and referrals."""

    contacts: float
    tail: float
    contacts_shared: float = Share
    near: float = Share
    calls_monthly: float
    called: float = Share
    referral: float = Share


class Behaviour(Frozen):
    """How often the noisier sources speak: they set the size of the data."""

    sessions_monthly: float
    events_per_session: int
    pings_monthly: float
    interests_monthly: float
    visits_monthly: float
    brands: Shares


class Marketing(Frozen):
    """Touches, answers with and without them, and consent."""

    touched: float = Share
    control: float = Share
    untreated: float = Share
    lift: Mapping[str, float]
    consents: Shares


class Delivery(Frozen):
    """Shares of rows that come late, twice, wrong at first, or broken."""

    late: float = Share
    duplicate: float = Share
    correction: float = Share
    broken: float = Share


class Simulation(Frozen):
    """All that makes a simulated bank: two with equal values are equal, row for row."""

    seed: int
    customers: int = Field(ge=200, le=2_000_000_000)
    start: date
    months: int = Field(ge=1, le=120)
    drop: Literal["day", "month"] = "month"
    people: People
    contributions: Contributions
    spending: Spending
    credit: Credit
    drift: Drift
    groups: Groups
    social: Social
    behaviour: Behaviour
    marketing: Marketing
    delivery: Delivery


def load_simulation(**chosen: Any) -> Simulation:
    """``simulation.yml`` with what a run chooses: seed, customers, start (a first of a month), months, drop.

    A group of numbers may be given too, in part: ``delivery={"broken": 0}``. Raises pydantic's ``ValidationError``.
    """
    values = yaml.safe_load(files("strata.conf").joinpath("simulation.yml").read_text())
    for name, given in chosen.items():
        values[name] = {**values[name], **given} if isinstance(given, Mapping) else given
    return Simulation.model_validate(values)


class Calendar(Frozen):
    """Days off, weekend days worked, and Spring Festivals."""

    holidays: frozenset[date]
    worked: frozenset[date]
    spring_festival: tuple[date, ...]


@cache
def load_calendar() -> Calendar:
    """``calendar.yml``."""
    values = yaml.safe_load(files("strata.conf").joinpath("calendar.yml").read_text())
    spans = [span.split("/") for year in values["holidays"].values() for span in year]
    off = {day for first, last in spans for day in _days(date.fromisoformat(first), date.fromisoformat(last))}
    return Calendar(
        holidays=frozenset(off), worked=frozenset(values["worked"]), spring_festival=tuple(values["spring_festival"])
    )


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
