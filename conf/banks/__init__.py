"""Banks: each is a folder that declares who it is, what is delivered, and what stands in its tables."""

from __future__ import annotations

from strata.conf.banks.bank import Bank, Covers, Declared
from strata.conf.banks.feeds import CLOCKS, NEXT_MORNING, Feed, Fill, Format, Source
from strata.conf.banks.problems import Problem
from strata.conf.banks.reading import BankError, load_bank, read_bank, shipped_banks

__all__ = [
    "CLOCKS",
    "NEXT_MORNING",
    "Bank",
    "BankError",
    "Covers",
    "Declared",
    "Feed",
    "Fill",
    "Format",
    "Problem",
    "Source",
    "load_bank",
    "read_bank",
    "shipped_banks",
]
