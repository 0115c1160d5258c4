"""One circle of guarantees in memory: the cascade of a first default, DebtRank, and the circle without a guarantee.

The model, in rounds. Round 0: one member defaults. In every round each loan of those who have just failed is called
on its guarantors that still stand, in even shares; nobody pays more than it guarantees of the loan, and the others
bear what is above that. Calls on a guarantor add up over loans and rounds. Who has been called for more than its
capacity pays the capacity, fails, and its own loans are called in the next round; nobody is called for what a failed
guarantor couldn't pay. It ends when a round fails nobody. The bank loses what the failed owe and guarantors haven't
paid: nothing else is recovered. Money is whole cents; odd cents go to who guarantees most, then to the larger id.

DebtRank (Battiston, Puliga, Kaushik, Tasca and Caldarelli, 2012) is gentler: distress h (0 to 1) reaches a guarantor
in proportion to the share of its capacity that the borrower's loans would call by themselves, and each member passes
distress on once. The rank of a member is the others' share of all exposure, weighted by the distress it brings them.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, replace
from functools import cached_property
from math import fsum, inf
from typing import Literal

import pandas

Trial = Literal["replace", "remove"]

Call = tuple[int, int, int]
"""A guarantee's place in the circle, the guarantor's, and cents: guaranteed, or called."""


@dataclass(frozen=True)
class Loan:
    """A guaranteed loan: ``owed`` cents, and its guarantees, the smallest first."""

    owed: int
    backing: tuple[Call, ...]

    def shares(self, failed: Container[int] = ()) -> list[Call]:
        """What is called on the guarantors that stand: even shares up to the guaranteed amounts."""
        standing = [one for one in self.backing if one[1] not in failed]
        left, calls = self.owed, []
        # Smallest first: whoever guarantees less than an even share leaves the rest to those who guarantee more.
        for number, (place, guarantor, most) in enumerate(standing):
            share = min(most, left // (len(standing) - number))
            left -= share
            calls.append((place, guarantor, share))
        return calls


@dataclass(frozen=True)
class Fall:
    """What follows of one default: who failed, cents called by guarantee, and cents that the bank loses."""

    failed: frozenset[int]
    called: dict[int, int]
    loss: int


@dataclass(frozen=True)
class Circle:
    """A circle by its members' places: the loans of each, what each owes, and what each can pay, in cents.

    Behind the last member's capacity stands the outsider's, who can pay everything.
    """

    loans: tuple[tuple[Loan, ...], ...]
    exposure: tuple[int, ...]
    capacity: tuple[float, ...]

    def fall(self, first: int) -> Fall:
        """The cascade that begins with ``first``."""
        failed, fresh = {first}, [first]
        called: dict[int, int] = {}
        due: dict[int, int] = {}
        while fresh:
            calls = [call for one in fresh for loan in self.loans[one] for call in loan.shares(failed)]
            for place, guarantor, share in calls:
                called[place] = share
                due[guarantor] = due.get(guarantor, 0) + share
            fresh = sorted({one for _, one, _ in calls if due[one] > self.capacity[one]})
            failed.update(fresh)
        paid = sum(int(min(amount, self.capacity[one])) for one, amount in due.items())
        return Fall(frozenset(failed), called, sum(self.exposure[one] for one in failed) - paid)

    def debt_rank(self, first: int) -> float:
        """The share of all exposure that is others' and in distress when ``first`` defaults, 0 to 1."""
        harm, passed, fresh = {first: 1.0}, {first}, [first]
        while fresh:
            reached: dict[int, float] = {}
            for one in fresh:
                for guarantor, share in self._impact[one].items():
                    reached[guarantor] = reached.get(guarantor, 0.0) + share * harm[one]
            harm |= {one: min(1.0, harm.get(one, 0.0) + more) for one, more in reached.items()}
            fresh = sorted(one for one in reached if one not in passed)
            passed.update(fresh)
        total = sum(self.exposure)
        others = (share * self.exposure[one] for one, share in harm.items() if one != first)
        return fsum(others) / total if total else 0.0

    @cached_property
    def _impact(self) -> list[dict[int, float]]:
        """Of every borrower: the guarantors, and the share of their capacity that its loans alone call."""
        impact: list[dict[int, float]] = []
        for loans in self.loans:
            due: dict[int, int] = {}
            for _, guarantor, share in (call for loan in loans for call in loan.shares()):
                due[guarantor] = due.get(guarantor, 0) + share
            impact.append({one: _part(amount, self.capacity[one]) for one, amount in due.items() if amount})
        return impact

    def without(self, borrower: int, place: int, trial: Trial) -> Circle:
        """The circle with a guarantee of the borrower's taken over by the outsider, or removed."""
        outsider = len(self.exposure)
        owed = []
        for loan in self.loans[borrower]:
            kept = tuple((at, outsider if at == place else who, most) for at, who, most in loan.backing)
            gone = tuple(one for one in kept if one[0] != place)
            owed.append(replace(loan, backing=kept if trial == "replace" else gone))
        return replace(self, loans=(*self.loans[:borrower], tuple(owed), *self.loans[borrower + 1 :]))


def circle_of(ties: pandas.DataFrame, members: pandas.DataFrame) -> Circle:
    """A circle from its tables; places are those of their rows.

    ``ties``: guarantor, borrower (members' places), loan, cents, owed; ``members``: exposure_amt, capacity_amt in
    cents. A member owes at least its guaranteed loans.
    """
    loans: list[list[Loan]] = [[] for _ in range(len(members))]
    for (borrower, _), rows in ties.groupby(["borrower", "loan"]):
        ordered = rows.sort_values(["cents", "guarantor"], kind="stable")
        calls = zip(ordered.index.tolist(), ordered["guarantor"].tolist(), ordered["cents"].tolist())
        loans[borrower].append(Loan(int(rows["owed"].max()), tuple(calls)))
    least = (sum(loan.owed for loan in owed) for owed in loans)
    exposure = tuple(max(own, backed) for own, backed in zip(members["exposure_amt"].tolist(), least))
    return Circle(tuple(tuple(owed) for owed in loans), exposure, (*members["capacity_amt"].tolist(), inf))


def _part(amount: int, capacity: float) -> float:
    return min(1.0, amount / capacity) if capacity else 1.0
