"""Cascades of defaults, DebtRank and the trial of every guarantee against plain sweeps over small circles."""

import random
from decimal import Decimal
from math import inf

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from strata.graph import GraphError
from strata.graph.risk import cascades
from strata.graph.risk.cascades import first_losses, unwind_first
from strata.jobs.simulate.credit import guaranteed

pytestmark = pytest.mark.oracle

GUARANTEES = (
    "guarantor_id long, borrower_id long, loan_id long, amount decimal(18,2), owed_amt decimal(18,2), since date"
)
EXPOSURES, CAPACITY = "customer_id long, exposure_amt decimal(18,2)", "customer_id long, capacity_amt decimal(18,2)"
OUTSIDE = -1


def money(cents):
    return None if cents is None else Decimal(cents) / 100


def random_bank():
    """Ties {(guarantor, borrower, loan): (cents, owed)}, and exposures and capacities in cents, of 150 circles."""
    rng, ties, exposures, capacity = random.Random(4), {}, {}, {}
    for circle in range(150):
        own = [1000 * circle + n for n in rng.sample(range(1000), rng.randint(2, 8))]
        size = len(own)
        ring = [(i, (i + 1) % size) for i in range(size)]
        pairs = rng.choice([ring, ring[:-1], [(i, 0) for i in range(1, size)], []])
        pairs = pairs + [(rng.randrange(size), rng.randrange(size)) for _ in range(rng.randint(1, size))]
        owed = {}
        for a, b in pairs:
            loan = rng.choice([None, 10 * own[b], 10 * own[b], 10 * own[b] + 1])
            whole = rng.choice([None, 40]) if loan is None else owed.setdefault(loan, rng.choice([40, 41, 100]))
            cents = rng.choice([None, 7, 20, whole, whole]) if loan else rng.choice([None, 30, 40])
            ties[own[a], own[b], loan] = (cents, whole)
        exposures |= {one: rng.choice([0, 50, 200]) for one in own if rng.random() < 0.9}
        capacity |= {one: rng.choice([0, 10, 13, 20, 40, 1000]) for one in own if rng.random() < 0.9}
    return {key: value for key, value in ties.items() if key[0] != key[1]}, exposures, capacity


class Bank:
    """The model once more: customers by id, loans by name, whole sweeps over everything in every round."""

    def __init__(self, ties, exposures, capacity, outside=None):
        self.loans = {}
        for key, (cents, owed) in ties.items():
            name = (key[1], key[2] if key[2] is not None else ("of", key[0]))
            rows = self.loans.setdefault(name, {"owed": 0, "backers": []})
            rows["owed"] = max(rows["owed"], (cents or 0) if owed is None else owed)
            rows["backers"].append((cents or 0, *key[:2], OUTSIDE if key == outside else key[0], key))
        people = {end for key in ties for end in key[:2]}
        self.exposure = {one: max(exposures.get(one, 0), self.backed(one)) for one in people}
        self.capacity = {one: capacity.get(one, 0) for one in people} | {OUTSIDE: inf}

    def backed(self, one):
        return sum(rows["owed"] for (borrower, _), rows in self.loans.items() if borrower == one)

    def split(self, name, failed=()):
        """(who, cents) by guarantee: as high an even level as the loan needs, odd cents to the last in the order."""
        owed = self.loans[name]["owed"]
        backers = sorted(one for one in self.loans[name]["backers"] if one[3] not in failed)
        level = 0
        while level < owed and sum(min(one[0], level + 1) for one in backers) <= owed:
            level += 1
        shares = {key: [who, min(most, level)] for most, *_, who, key in backers}
        odd = owed - sum(share for _, share in shares.values())
        more = [key for most, *_, key in backers if most > level]
        for key in more[len(more) - min(odd, len(more)) :]:
            shares[key][1] += 1
        return shares

    def cascade(self, first):
        """Failed, cents called by guarantee, and loss."""
        failed, calls, called = {first}, {}, set()
        while True:
            before = set(failed)
            for name in self.loans:
                if name[0] in before and name not in called:
                    called.add(name)
                    calls |= self.split(name, before)
            due = {}
            for who, share in calls.values():
                due[who] = due.get(who, 0) + share
            failed |= {who for who, amount in due.items() if amount > self.capacity[who]}
            if failed == before:
                paid = sum(min(amount, self.capacity[who]) for who, amount in due.items())
                loss = sum(self.exposure[one] for one in failed) - paid
                return failed, {key: share for key, (_, share) in calls.items()}, loss

    def debt_rank(self, first):
        """Synchronous steps on whole vectors, with the states of the paper."""
        ids = sorted(self.exposure)
        at, n = {one: place for place, one in enumerate(ids)}, len(ids)
        due = np.zeros((n, n))
        for name in self.loans:
            for who, share in self.split(name).values():
                due[at[name[0]], at[who]] += share
        can = np.array([self.capacity[one] for one in ids], dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(due > 0, np.minimum(1, due / can), 0)
        value = np.array([self.exposure[one] for one in ids], dtype=float)
        h, state = np.zeros(n), np.array(["U"] * n)
        h[at[first]], state[at[first]] = 1, "D"
        while (state == "D").any():
            distressed = state == "D"
            h = np.minimum(1, h + (weight * (h * distressed)[:, None]).sum(axis=0))
            state = np.where(distressed, "I", np.where((h > 0) & (state == "U"), "D", state))
        return (h @ value - value[at[first]]) / value.sum() if value.sum() else 0.0


@pytest.fixture(scope="module")
def bank(spark):
    ties, exposures, capacity = random_bank()
    rows = [(*key, money(cents), money(owed), None) for key, (cents, owed) in ties.items()]
    tables = (
        spark.createDataFrame(rows, GUARANTEES).persist(),
        spark.createDataFrame([(one, money(amount)) for one, amount in exposures.items()], EXPOSURES).persist(),
        spark.createDataFrame([(one, money(amount)) for one, amount in capacity.items()], CAPACITY).persist(),
    )
    parts = list(nx.weakly_connected_components(nx.DiGraph(key[:2] for key in ties)))
    mine = [{key: value for key, value in ties.items() if key[0] in part} for part in parts]
    yield tables, mine, exposures, capacity
    for table in tables:
        table.unpersist()


def test_first_losses_are_those_of_sweeps(bank):
    tables, circles, exposures, capacity = bank
    found = {row["customer_id"]: row for row in first_losses(*tables).collect()}
    seen = 0
    for ties in circles:
        own = Bank(ties, exposures, capacity)
        for first in own.exposure:
            failed, calls, loss = own.cascade(first)
            row = found.pop(first)
            assert row["circle_id"] == min(own.exposure)
            told = (row["failed_cnt"], row["called_amt"], row["loss_amt"])
            assert told == (len(failed) - 1, money(sum(calls.values())), money(loss)), (first, ties)
            assert row["debt_rank"] == pytest.approx(own.debt_rank(first), abs=1e-12)
            seen += len(failed) > 3
    assert not found and seen > 50


def tried(own, ties, key, trial, capacity):
    """The circle with the guarantee taken over from outside, or removed; everybody owes what it owed."""
    rest = ties if trial == "replace" else {other: value for other, value in ties.items() if other != key}
    other = Bank(rest, {}, capacity, outside=key)
    other.exposure, other.capacity = own.exposure, own.capacity
    return other


def falls(before, other, key, chance):
    """By how much expected loss (cents) and failures fall, and cents expected to be called on it."""
    loss = failures = called = 0.0
    for first, (failed, calls, lost) in before.items():
        after = other.cascade(first)
        loss += chance[first] * (lost - after[2])
        failures += chance[first] * (len(failed) - len(after[0]))
        called += chance[first] * calls.get(key, 0)
    return loss, failures, called


@pytest.mark.parametrize(("trial", "likely"), [("replace", True), ("remove", False)])
def test_every_guarantee_is_tried(spark, bank, trial, likely):
    tables, circles, exposures, capacity = bank
    people = sorted({end for ties in circles for key in ties for end in key[:2]})
    rng = random.Random(6)
    odds = {one: rng.choice([0.01, 0.2, 0.5]) for one in people if rng.random() < 0.9}
    table = spark.createDataFrame(list(odds.items()), "customer_id long, pd double") if likely else None
    found = {}
    for row in unwind_first(*tables, table, trial=trial).collect():
        found.setdefault(row["circle_id"], []).append(row)
    for ties in circles:
        members = {end for key in ties for end in key[:2]}
        rows = sorted(found.pop(min(members)), key=lambda r: r["rank"])
        assert {(r["guarantor_id"], r["borrower_id"], r["loan_id"]) for r in rows} == set(ties)
        own = Bank(ties, exposures, capacity)
        before = {one: own.cascade(one) for one in members}
        chance = {one: odds.get(one, 0) if likely else 1 / len(members) for one in members}
        for row in rows:
            key = (row["guarantor_id"], row["borrower_id"], row["loan_id"])
            loss, failures, called = falls(before, tried(own, ties, key, trial, capacity), key, chance)
            assert float(row["loss_fall_amt"]) == pytest.approx(loss / 100, abs=0.0051)
            assert row["failures_fall"] == pytest.approx(failures, abs=1e-8)
            assert float(row["called_amt"]) == pytest.approx(called / 100, abs=0.0051)
            assert row["is_exact"] and row["amount"] == money(ties[key][0] or 0)
        worth = [
            (-r["loss_fall_amt"], -r["failures_fall"], -r["called_amt"], r["guarantor_id"], r["borrower_id"],
             r["loan_id"] or 0)
            for r in rows
        ]  # fmt: skip
        assert worth == sorted(worth) and [r["rank"] for r in rows] == list(range(1, len(rows) + 1))
    assert not found


def planted(kind, first, size=6):
    backed = [(place, other) for place in range(size) for other in guaranteed(kind, place, size)]
    return [(first + a, first + b, 1000 + first + b, Decimal(100), Decimal(100), None) for a, b in backed]


def test_the_four_planted_kinds(spark):
    """Everybody owes 100, guaranteed in full, and can pay nothing: who has guaranteed who falls, falls."""
    rows = [row for n, kind in enumerate(("mutual", "cycle", "joint", "chain")) for row in planted(kind, 10 * n)]
    owed = [(10 * n + place, Decimal(100)) for n in range(4) for place in range(6)]
    tables = (
        spark.createDataFrame(rows, GUARANTEES),
        spark.createDataFrame(owed, EXPOSURES),
        spark.createDataFrame([], CAPACITY),
    )
    found = {row["customer_id"]: row for row in first_losses(*tables).collect()}
    expected = [1] * 6 + [5] * 6 + [5, 0, 0, 0, 0, 0] + [0, 1, 2, 3, 4, 5]
    assert [found[one]["failed_cnt"] for one, _ in owed] == expected
    assert all(row["loss_amt"] == 100 * (1 + row["failed_cnt"]) for row in found.values())
    sizes = [2] * 6 + [6] * 18
    ranks = [found[one]["debt_rank"] for one, _ in owed]
    assert ranks == pytest.approx([cnt / size for cnt, size in zip(expected, sizes)])
    best = {row["circle_id"]: row for row in unwind_first(*tables).where("rank = 1").collect()}
    # In the chain the middle one: three that may begin beyond it, three saved before it, and the 100 it would bring in.
    chain = best[30]
    assert (chain["guarantor_id"], chain["borrower_id"], chain["failures_fall"]) == (32, 33, 1.5)
    assert chain["loss_fall_amt"] == 200
    # All are alike in a ring: the smallest ids decide.
    assert (best[10]["guarantor_id"], best[10]["borrower_id"]) == (10, 11)


def test_a_call_of_just_the_capacity_fails_nobody(spark):
    rows = [(1, 2, 5, Decimal("33.34"), Decimal(100), None), (3, 2, 5, Decimal(90), Decimal(100), None)]
    tables = (
        spark.createDataFrame(rows, GUARANTEES),
        spark.createDataFrame([(2, Decimal(120))], EXPOSURES),
        spark.createDataFrame([(1, Decimal("33.34")), (3, Decimal("66.65"))], CAPACITY),
    )
    found = {row["customer_id"]: tuple(row)[2:5] for row in first_losses(*tables).collect()}
    # 33.34 and 66.66 are called: the first can just pay, the other lacks a cent and owes nothing itself.
    assert found == {1: (0, 0, 0), 2: (1, Decimal(100), Decimal("20.01")), 3: (0, 0, 0)}


def test_a_circle_too_large_to_try_is_ranked_by_what_is_called(monkeypatch):
    ties = pd.DataFrame({"guarantor_id": [1, 2, 3], "borrower_id": [2, 3, 1], "cents": [5, 9, 7], "owed": [9, 9, 9]})
    ties = ties.assign(circle_id=1, loan_key=["a", "b", "c"], loan=["a", "b", "c"])
    members = pd.DataFrame({"circle_id": 1, "customer_id": [1, 2, 3], "exposure_amt": 9, "capacity_amt": 0})
    exact = cascades._unwound(ties, members, trial="replace", likely=False)
    assert exact["is_exact"].all() and exact["loss_fall"].notna().all()
    # In each of three cascades three guarantees would be tried, in a cascade of two calls and their end.
    for limit, whether in ((27, True), (26, False)):
        monkeypatch.setattr(cascades, "EXACT_CALLS", limit)
        found = cascades._unwound(ties, members, trial="replace", likely=False)
        assert set(found["is_exact"]) == {whether}
        assert found["called"].tolist() == exact["called"].tolist()
        assert found["loss_fall"].isna().all() != whether


def test_nothing_and_what_is_refused(spark):
    none = spark.createDataFrame([], GUARANTEES)
    exposures, capacity = spark.createDataFrame([], EXPOSURES), spark.createDataFrame([], CAPACITY)
    assert unwind_first(none, exposures, capacity).collect() == []
    with pytest.raises(GraphError, match="guarantees: column owed_amt is missing"):
        first_losses(none.drop("owed_amt"), exposures, capacity)
    with pytest.raises(GraphError, match="capacity: column capacity_amt is missing"):
        first_losses(none, exposures, exposures)
    with pytest.raises(GraphError, match='trial: "replace" or "remove" is expected'):
        unwind_first(none, exposures, capacity, trial="drop")
