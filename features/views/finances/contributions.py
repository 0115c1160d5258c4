"""Contributions (社保、公积金): the wage that an employer declares, and how regularly it is paid for."""

from __future__ import annotations

from strata.features.definitions.items import Derived, Windowed, derived, windowed
from strata.features.definitions.view import FeatureView
from strata.features.views.common import customer_events, pace, share, since, streak


def _items(name: str) -> tuple[Windowed | Derived, ...]:
    paid = "status = 'paid'"
    return (
        windowed("base", aggs=("last",), days=(184,), unit="amt", description="latest declared monthly wage"),
        windowed("base", aggs=("mean", "std"), days=(184, 365), unit="amt", description="declared monthly wage"),
        windowed("base", aggs=("min", "max"), days=(365,), unit="amt", description="declared monthly wage"),
        windowed("amount", label="paid", where=paid, aggs=("sum",), days=(184, 365), unit="amt"),
        windowed("month", label="paid_months", where=paid, aggs=("distinct",), days=(184, 365)),
        windowed("month", label="late_months", where="status = 'late'", aggs=("distinct",), days=(184, 365)),
        windowed("month", label="stopped_months", where="status = 'stopped'", aggs=("distinct",), days=(184, 365)),
        windowed("employer_id", label="employers", aggs=("distinct",), days=(365,), description="who paid"),
        *since(name, "since_paid", 365,
               "days since the first of the last month paid for; null when none in a year", where=paid),
        *streak(name, "paid_in_a_row", 12,
                "months in a row paid on time, up to 12; the last two are not asked for, as files come late",
                label="paid", where=paid, moment="month", late=2),
        derived("base_variation_365d", f"{name}_base_std_365d_amt / nullif({name}_base_mean_365d_amt, 0)",
                unit="ratio", description="deviation of the declared wage as a share of its mean"),
        pace("base_growth", f"{name}_base_last_184d_amt", f"{name}_base_mean_365d_amt", 1,
             "latest declared wage against the year's mean; 1 is steady"),
        share("late_share_365d", f"{name}_late_months_distinct_365d_cnt",
              f"({name}_paid_months_distinct_365d_cnt + {name}_late_months_distinct_365d_cnt)",
              "months paid late, of the months paid, in a year"),
    )  # fmt: skip


def _view(name: str, source: str, description: str) -> FeatureView:
    return customer_events(name, source, ("customer_id", "month"), description, *_items(name))


social = _view("social", "social_insurance", "Social insurance (社保): level and regularity; files come weeks late.")
fund = _view("fund", "housing_fund", "Housing provident fund (公积金): level and regularity; files come weeks late.")
