"""The simulated bank's rates, shares, amounts and delays: ``simulation.yml``, read into frozen values."""

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
# The fewest and the most.
Days = tuple[int, int]


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
    with_ability: Mapping[str, float]
    divorced: float = Share
    studies: float = Share
    occupations: Shares
    industries: Shares
    specialised: float = Share
    own_specialised: float = Share
    employer_skew: float = Field(gt=0)
    secure_premium: float
    idle_discount: float
    income_without_work: float = Share
    new_job_raise: float
    own_income_spread: float
    closes: float = Share
    changes_phone: float = Share
    by_payroll: float = Share
    by_partner: float = Share
    degree_found: float = Share
    boasts: float = Share


class Contributions(Frozen):
    """Social insurance and housing fund."""

    social_rate: float = Share
    fund_rates: tuple[float, ...]
    base_floor: int
    base_ceiling: int
    lag_days: int
    self_employed: float = Share
    private_fund: float = Share
    declares_less: float = Share
    undeclared: float = Share
    late: float = Share
    net_of_gross: float = Share


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
    renters: float = Share
    rent: float = Share
    transfers_monthly: float
    transfer_share: float
    cash_monthly: float
    cash_share: float
    rings: float = Share
    made_up: float = Share


class Accounts(Frozen):
    """Balances, joint holders, and when an account changes its state."""

    buffer: float
    interest: float
    joint: float = Share
    bonus: float = Share
    dormant_after_days: int
    frozen_after_days: int


class Holding(Frozen):
    """What people hold of a kind of wealth: ``share`` at middle ability, ``incomes`` in monthly incomes."""

    share: float = Share
    incomes: float
    risk_level: int = Field(ge=1, le=5)
    yearly: float
    spread: float


class Product(Frozen):
    """A line of the bank's list of products, as its file has it; the rates of loans are those of ``credit``."""

    name: str
    kind: str
    role: str
    base_rate: str | None = None
    funding_cost: str | None = None
    capital_weight: float | None = None
    limit_min: str | None = None
    limit_max: str | None = None
    term_months: int | None = None


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
    for_business: float = Share
    asks_at: Shares
    scenes: Shares
    wanted_spread: float
    rate_step: float
    usual_debt_to_income: float
    driver_mean: float
    most_hazard: float = Share
    cures_after: Days
    written_off_days: int
    recovery_spread: float


class Collection(Frozen):
    """When something is done about arrears, how often and by which ways."""

    from_days: int
    late_days: int
    most_actions: int = Field(ge=1)
    early: Shares
    late: Shares


class Bureau(Frozen):
    """What credit bureaus and the industry's blacklist know of people."""

    coverage: Shares
    watched: float = Share
    open_loans: float
    inquiries: float
    ring_inquiries: int
    overdue_months: float
    exposure_incomes: float
    has_card: float = Share
    lists_defaulted: float = Share
    lists_ring: float = Share
    lists_by_chance: float = Share
    days_to_list: int


class Drift(Frozen):
    """What changes once, and when: a share of the simulated months."""

    after: float = Share
    hazard: float
    to_app: float = Share


class Groups(Frozen):
    """Planted fraud rings, guarantee circles and hub phones, as shares of the customers."""

    ring_share: float = Share
    ring_size: int
    circle_share: float = Share
    circle_size: int
    ring_default: float = Share
    hub_phones: int
    hub_phone_owners: float = Share
    circle_hazard: float
    ring_recovery: float = Share
    mule_amount: float
    mule_fee: float = Share
    mule_minutes: int
    cycle_amount: float
    cycle_minutes: int


class Social(Frozen):
    """Contacts, calls and referrals."""

    contacts: float
    tail: float
    contacts_shared: float = Share
    near: float = Share
    calls_monthly: float
    called: float = Share
    referral: float = Share
    outside: int
    colleagues: float = Share
    services: float = Share
    labelled: float = Share
    family_declared: float = Share
    referral_declared: float = Share


class Behaviour(Frozen):
    """How often the noisier sources speak, which sets the size of the data, and of what."""

    sessions_monthly: float
    events_per_session: int
    pings_monthly: float
    interests_monthly: float
    visits_monthly: float
    brands: Shares
    second_device: float = Share
    rooted: Shares
    emulator: Shares
    flags: Shares
    sdk_flags: Shares
    typing_ms: Mapping[str, float]
    pastes: float = Share
    pages: Shares
    dwell_ms: float
    ships: float = Share
    shares_place: float = Share
    at_work: float = Share
    away: float = Share
    topics: Shares
    women_read: Mapping[str, float]
    men_read: Mapping[str, float]
    before_loan: Mapping[str, float]
    reads_before_loan: float
    scenes: Shares
    partners: int = Field(ge=1)
    orders: float = Share
    order_share: float
    partner_days: int


class Marketing(Frozen):
    """Touches, answers with and without them, and consent."""

    touched: float = Share
    control: float = Share
    untreated: float = Share
    lift: Mapping[str, float]
    consents: Shares
    other_consents: Shares
    withdraws: float = Share
    offered: tuple[str, ...]
    campaign_days: int
    touch_cost: Mapping[str, str]
    looks: float = Share
    answer_hours: int
    appetite: Mapping[str, Mapping[str, float]]
    moved_by: Mapping[str, Mapping[str, float]]
    moved_by_chance: float
    put_off_below: float
    put_off: float


class Delivery(Frozen):
    """Shares of rows that come late, twice, wrong at first, or broken."""

    late: float = Share
    duplicate: float = Share
    correction: float = Share
    broken: float = Share
    days_late: Days
    days_to_correct: Days


class Simulation(Frozen):
    """All that makes a simulated bank: two with equal values are equal, row for row."""

    seed: int
    customers: int = Field(ge=200, le=2_000_000_000)
    start: date
    months: int = Field(ge=1, le=120)
    drop: Literal["day", "month", "quarter"] = "month"
    people: People
    contributions: Contributions
    spending: Spending
    accounts: Accounts
    wealth: Mapping[str, Holding]
    products: Mapping[str, Product]
    credit: Credit
    collection: Collection
    bureau: Bureau
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
