"""Small random tables of loans with late and corrected reports, and a slow reading of the panel over them."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

import pandas as pd

AS_OF = date(2024, 4, 3)
ZONE = "Asia/Shanghai"
ENDS = [end.date() for end in pd.date_range("2023-01-31", "2024-03-31", freq="ME")]
LOAN = (
    "loan_id long, account_id long, application_id long, product_code string, annual_rate decimal(9,6), "
    "opened_on date, principal decimal(18,2), term_months int, instalment_amt decimal(18,2), "
    "event_ts timestamp, known_ts timestamp"
)
DELINQUENCY = (
    "loan_id long, month_end date, days_past_due int, bucket string, balance decimal(18,2), "
    "overdue_amount decimal(18,2), is_written_off boolean, event_ts timestamp, known_ts timestamp"
)
HOLDER = "holder_id long, customer_id long, account_id long, role string, event_ts timestamp, known_ts timestamp"
TYPES = {"loan": LOAN, "delinquency": DELINQUENCY, "account_holder": HOLDER}
Rows = dict[str, pd.DataFrame]


def midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())


def random_tables(seed: int, loans: int = 60) -> Rows:
    """Loans, of which some change hands or terms, are reported late, corrected, withdrawn, not at all, or paid off."""
    rng = random.Random(seed)
    found: dict[str, list[dict]] = {name: [] for name in TYPES}
    for account in range(1, loans // 2 + 1):
        for _ in range(rng.choice((1, 1, 1, 2))):
            found["account_holder"].append(
                {"holder_id": len(found["account_holder"]), "customer_id": rng.randint(1, loans // 3),
                 "account_id": account, "role": rng.choice(("owner",) * 9 + ("joint",)),
                 "known_ts": midnight(rng.choice(ENDS) - timedelta(days=rng.choice((0, 200, 400))))}
            )  # fmt: skip
    for loan in range(1, loans + 1):
        opened = date(2022, 11, 1) + timedelta(days=rng.randint(0, 300))
        for version in range(rng.choice((1, 1, 2))):
            found["loan"].append(
                {"loan_id": loan, "account_id": rng.randint(1, loans // 2), "product_code": rng.choice("ab"),
                 "opened_on": opened, "principal": 1000 + 100 * version, "term_months": rng.choice((12, 24)),
                 "instalment_amt": 100, "annual_rate": None,
                 "known_ts": midnight(opened) + timedelta(days=rng.choice((0, 1, 90)) + 45 * version, hours=9)}
            )  # fmt: skip
        found["delinquency"] += _reports(rng, loan, opened)
    return {name: pd.DataFrame(rows).assign(event_ts=midnight(ENDS[0])) for name, rows in found.items()}


def _reports(rng: random.Random, loan: int, opened: date) -> list[dict]:
    rows, days, owed = [], 0, 1000
    for end in ENDS:
        if end < opened or rng.random() < 0.06:
            continue
        days = rng.choice((0, 0, days, days + 30, days + 30, rng.randint(1, 29)))
        owed = 0 if rng.random() < 0.02 else max(owed - 50, 0)
        told = {"loan_id": loan, "month_end": end, "days_past_due": days, "balance": owed,
                "is_written_off": days > 150}  # fmt: skip
        when = midnight(end) + timedelta(days=rng.choice((1, 1, 1, 1, 3, 40)))
        rows.append({**told, "known_ts": when})
        if rng.random() < 0.15:
            again = rng.choice((None, 0, 31, 65))
            rows.append({**told, "days_past_due": again, "known_ts": when + timedelta(days=rng.choice((1, 30, 100)))})
    return rows


def slow_panel(tables: Rows, as_of: date, *, every: int | None, history: int, back: int, fresh: int) -> pd.DataFrame:
    """The open loans of every date, one question after the other."""
    until = midnight(as_of)
    start = tables["delinquency"]["known_ts"].min().normalize() + timedelta(days=history)
    days = [start + timedelta(days=n) for n in range((until - start).days + 1)]
    dates = [d for d in days if (d.day == 1 if every is None else (d - datetime(1970, 1, 5)).days % every == 0)]
    rows = [row for at in dates for row in _standing(tables, at, back, fresh)]
    frame = pd.DataFrame(rows)
    for index, row in frame.iterrows():
        others = frame[(frame["customer_id"] == row["customer_id"]) & (frame["at"] == row["at"])
                       & (frame["loan_id"] != row["loan_id"])]  # fmt: skip
        frame.loc[index, "other_open_loans"] = others["is_open"].sum()
        frame.loc[index, "other_dpd_worst"] = others["dpd_now"].max()
        frame.loc[index, "other_balance"] = others.loc[others["is_open"], "balance_now"].sum()
    return frame[frame["is_open"]].drop(columns="is_open")


def _standing(tables: Rows, at: datetime, back: int, fresh: int) -> list[dict]:
    known = {name: rows[rows["known_ts"] <= at].sort_values("known_ts") for name, rows in tables.items()}
    rows = []
    for loan, terms in known["loan"].groupby("loan_id"):
        term = terms.iloc[-1]
        owners = known["account_holder"]
        owners = owners[(owners["account_id"] == term["account_id"]) & (owners["role"] == "owner")]
        ends = month_ends(known["delinquency"], loan)
        ends = [end for end in ends if end["closed"] <= at]
        if owners.empty or not ends or ends[-1]["closed"] < at - timedelta(days=fresh):
            continue
        now, recent = ends[-1], [end["days_past_due"] for end in ends if end["closed"] > at - timedelta(days=back)]
        owner = owners.sort_values(["known_ts", "customer_id"]).iloc[-1]["customer_id"]
        months = (at.year - term["opened_on"].year) * 12 + at.month - term["opened_on"].month
        months -= at.day < term["opened_on"].day and (at + timedelta(days=1)).day != 1
        rows.append(
            {"loan_id": loan, "customer_id": owner, "at": at, "dpd_now": now["days_past_due"],
             "dpd_worst_184d": max(recent), "months_late_184d": sum(days > 0 for days in recent),
             "months_on_book": months, "balance_now": now["balance"],
             "repaid_ratio": 1 - now["balance"] / term["principal"], "product_code": term["product_code"],
             "principal": term["principal"], "term_months": term["term_months"],
             "is_open": now["balance"] > 0 and not now["is_written_off"]}
        )  # fmt: skip
    return rows


def month_ends(known: pd.DataFrame, loan: int) -> list[dict]:
    """The last version of each month end of a loan, oldest first, without those that were withdrawn."""
    mine = known[known["loan_id"] == loan].sort_values(["known_ts", "days_past_due"], na_position="first")
    last = mine.groupby("month_end").tail(1).sort_values("month_end")
    rows = last[last["days_past_due"].notna()].to_dict("records")
    return [{**row, "closed": midnight(row["month_end"]) + timedelta(days=1)} for row in rows]
