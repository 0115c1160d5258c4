"""A small bank to begin with: commented declarations, and files of people who don't exist, that run through at once."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

CUSTOMERS, FIRST, DAYS = 120, date(2024, 7, 1), 184
DROP = FIRST + timedelta(days=DAYS - 1)
# Whoever has a loan was granted it after three months of postings; what became of it is known at the end.
GRANTED = date(2024, 10, 1)

BANK = """\
# Who the bank is. `strata check --bank {folder}` says what is wrong here and what can be filled.
name: {name}
title: A small bank to begin with
zone: Europe/Berlin      # every bank day is cut there
currency: EUR
layout: dated            # landing/2024-12-31/…: one folder per drop; flat: all files in one folder
postings: from_opening   # the files hold every posting since an account was opened
entities: [customer]     # of whom features are computed: customer, account
network: people          # or accounts
settings:                # anything that base.yml has; {{folder}} is this folder
  as_of: {as_of}
  landing: "{{folder}}/landing"
"""
CUSTOMER = """\
# One row per customer. `strata columns customer` says what the silver table has.
csv: {separator: ";"}
notation: {days: dd.MM.yyyy}
columns: [kunde, geburt, geschlecht, telefon, seit]   # of the file, in order
tables:
  customer:
    fields:
      customer_id: {from: kunde, id: customer}        # a number made of the text by the bank's key
      birth_date: geburt
      gender: {from: geschlecht, map: {w: F, m: M}}   # any other code breaks the row
      phone_hash: {from: telefon, token: true}        # in silver a keyed token, in clear in bronze alone
      opened_on: seit
      valid_from: seit
    event: valid_from
    known: valid_from       # the old system knew it then; next_morning: the morning after the day of the drop's folder
"""
ACCOUNT = """\
# One row per account with its owner: one file for two tables.
notation: {days: dd.MM.yyyy}
columns: [konto, kunde, eroeffnet]
tables:
  account:
    fields:
      account_id: {from: konto, id: account}          # leading zeros count: the text decides
      account_hash: {from: konto, token: true}
      opened_on: eroeffnet
      status: {constant: active}
    event: opened_on
    known: opened_on
  account_holder:
    fields:
      holder_id: {from: [konto, kunde], join: "/", id: holder}
      customer_id: {from: kunde, id: customer}
      account_id: {from: konto, id: account}
      role: {constant: owner}
    known: CAST(opened_on AS TIMESTAMP)
    references:
      account_id: {table: account, brings: [opened_on]}
      customer_id: customer
"""
POSTING = """\
# Postings, with amounts such as 1.234,50 and a sign behind what was paid out.
notation: {decimal: ",", thousands: ".", sign: behind, times: "dd.MM.yyyy HH:mm"}
columns: [nr, konto, zeit, betrag, art, gegenkonto, saldo]
tables:
  transaction:
    fields:
      transaction_id: nr
      account_id: {from: konto, id: account}
      occurred_at: {from: zeit, type: timestamp}      # silver has no such column: it serves the clocks alone
      amount: {from: betrag, absolute: true}
      direction: {from: betrag, by_sign: {positive: credit, negative: debit}}
      channel: {from: art, map: {"01": cash, "02": transfer, "03": card}}
      counterparty_hash: {from: gegenkonto, token: true}
      balance_after: saldo
    event: occurred_at
    known: occurred_at
    references: {account_id: account}
"""
LOAN = """\
# Granted loans, and whether they were lost: that column is this bank's own, declared in tables/loan.yml.
notation: {decimal: ",", thousands: ".", days: dd.MM.yyyy}
columns: [vertrag, konto, datum, summe, laufzeit, rate, ausfall]
tables:
  loan:
    fields:
      loan_id: {from: vertrag, id: loan}
      account_id: {from: konto, id: account}
      opened_on: datum
      principal: summe
      term_months: laufzeit
      instalment_amt: rate
      was_lost: {from: ausfall, map: {J: 1, N: 0}}
    event: opened_on
    known: opened_on
    references: {account_id: account}
"""
LOAN_TABLE = """\
# Columns beside those of the standard table; a table of the bank's own has a grain, a description and a key too.
columns:
  was_lost: {type: int, nullable: true, description: 1 when the loan was lost}
"""
MODEL = '''\
"""Which loans are lost: a model of this bank's own, for `strata train --model loan_loss` and the other jobs."""

from pyspark.sql import functions as F

from strata.conf.contracts import col
from strata.models import ModelSpec, Outcome, Population


def granted(tables, as_of):
    """One row per loan, as of the morning of its grant: features see what was known before, and nothing else."""
    owners = tables["account_holder"].where("role = 'owner'").select("account_id", "customer_id")
    loans = tables["loan"].where(F.col("known_ts") <= F.lit(as_of.isoformat()).cast("timestamp"))
    return loans.join(owners, "account_id").withColumn("at", F.to_timestamp("opened_on"))


def lost(cases, tables, as_of):
    """1 bad, 0 good, null while it is not known; and in words."""
    state = F.when(F.col("was_lost") == 1, "bad").when(F.col("was_lost") == 0, "good").otherwise("unknown")
    return cases.withColumns({"is_bad": F.col("was_lost"), "outcome_state": state})


SPEC = ModelSpec(
    name="loan_loss",
    title="Loss of a granted loan",
    entity="customer",
    population=Population(
        description="Granted loans, as of the morning of the grant.",
        key="loan_id",
        columns=(
            col("loan_id", "bigint", "the loan"),
            col("customer_id", "bigint", "who owes it; a fold has all cases of one"),
            col("account_id", "bigint", "the account that it is paid from"),
            col("at", "timestamp", "the moment as of which features are computed"),
            col("principal", "decimal(18,2)", "amount granted"),
            col("term_months", "int", "agreed term"),
            col("instalment_amt", "decimal(18,2)", "monthly instalment"),
        ),
        reads=("loan", "account_holder"),
        needs=("loan.was_lost",),
        cases=granted,
    ),
    outcome=Outcome(description="Bad: lost.", reads=(), label=lost),
    features=("allowed:*",),      # all that the purpose may use; names and patterns such as allowed:flows_* too
    purpose="credit_risk",
    coverage="flag",              # cases from before some data begin stay, and are said to be; the default refuses them
    card={"max_features": 5, "reasons": 3},
    repeats=1,
    # What a credit decision needs, as SQL on a case with its features; without it the model decides nothing.
    decision={
        "requested_amount": "principal",
        "term_months": "term_months",
        "instalment_amt": "instalment_amt",
        "monthly_income_amt": "CAST(flows_in_sum_90d_amt AS DOUBLE) / 3",
        "has_whole_history": "TRUE",
        "neighbour_default_ratio": "CAST(NULL AS DOUBLE)",
        "component_size": "CAST(NULL AS BIGINT)",
    },
)
'''


def write_sample(folder: Path) -> list[str]:
    """Write the bank; returns the files in it. The folder must not have a bank yet."""
    declared = {
        "bank.yml": BANK.format(folder=folder, name=bank_name(folder), as_of=DROP + timedelta(days=1)),
        "feeds/kunden.yml": CUSTOMER,
        "feeds/konten.yml": ACCOUNT,
        "feeds/buchungen.yml": POSTING,
        "feeds/kredite.yml": LOAN,
        "tables/loan.yml": LOAN_TABLE,
        "models/loan_loss.py": MODEL,
    }
    for name, text in declared.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return [*declared, *_write_files(folder / "landing" / DROP.isoformat())]


def bank_name(folder: Path) -> str:
    """A name for the bank of a folder: letters, digits and underscores."""
    name = "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in folder.resolve().name.lower())
    return name if name[:1].isalpha() else f"bank_{name}"


def _write_files(landing: Path) -> list[str]:
    landing.mkdir(parents=True, exist_ok=True)
    draw = random.Random(1)
    customers, accounts, loans = [], [], []
    postings: list[list[str]] = []
    for number in range(1, CUSTOMERS + 1):
        kunde, konto = f"K{number:04d}", f"{number * 7919:010d}"
        since = FIRST - timedelta(days=draw.randrange(30, 2_000))
        born = date(draw.randrange(1950, 2004), draw.randrange(1, 13), draw.randrange(1, 29))
        customers.append([kunde, _day(born), draw.choice("wm"), f"+4930{draw.randrange(10**6):06d}", _day(since)])
        accounts.append([konto, kunde, _day(since)])
        wage = draw.randrange(180_000, 520_000)
        postings += _postings(konto, wage, draw, len(postings))
        loans.append(_loan(number, konto, wage, draw))
    written = {
        "kunden.csv": ("kunde;geburt;geschlecht;telefon;seit", customers),
        "konten.csv": ("konto;kunde;eroeffnet", accounts),
        "buchungen.csv": ("nr;konto;zeit;betrag;art;gegenkonto;saldo", postings),
        "kredite.csv": ("vertrag;konto;datum;summe;laufzeit;rate;ausfall", loans),
    }
    for name, (header, rows) in written.items():
        _write_csv(landing / name, header.split(";"), rows)
    return [f"landing/{landing.name}/{name}" for name in written]


def _loan(number: int, konto: str, wage: int, draw: random.Random) -> list[str]:
    """A loan that is lost the more often the less its owner earns."""
    instalment, months = draw.randrange(15_000, 60_000), draw.choice([12, 24, 36])
    lost = draw.random() < (0.75 if wage < 280_000 else 0.08)
    granted = _day(GRANTED + timedelta(days=draw.randrange(0, 60)))
    return [f"V{number:05d}", konto, granted, _money(instalment * months), str(months), _money(instalment),
            "J" if lost else "N"]  # fmt: skip


def _postings(konto: str, wage: int, draw: random.Random, before: int) -> list[list[str]]:
    """Wages once a month and payments in between; the balance never falls below nothing."""
    rows: list[list[str]] = []
    balance = draw.randrange(50_000, 400_000)
    for day in range(DAYS):
        moment = FIRST + timedelta(days=day)
        cents = wage if moment.day == 28 else -draw.randrange(500, 18_000) if draw.random() < 0.35 else 0
        if cents == 0 or balance + cents < 0:
            continue
        balance += cents
        kind, other = ("02", "DE0000000001") if cents > 0 else (draw.choice(["01", "02", "03"]), "")
        number = str(before + len(rows) + 1)
        time = f"{_day(moment)} {draw.randrange(7, 22):02d}:30"
        rows.append([number, konto, time, _money(cents), kind, other, _money(balance)])
    return rows


def _day(day: date) -> str:
    return f"{day:%d.%m.%Y}"


def _money(cents: int) -> str:
    text = f"{abs(cents) / 100:,.2f}".translate(str.maketrans(",.", ".,"))
    return f"{text}-" if cents < 0 else text


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=";", lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
