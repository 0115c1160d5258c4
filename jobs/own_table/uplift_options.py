"""What ``strata uplift`` may be told."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from strata.jobs.own_table.any_input import add_kinds_option, add_reading_options, comma_list
from strata.jobs.runtime.errors import UsageError
from strata.models.readings.reading_choice import AsKind
from strata.models.uplift.meta_learners import LEARNERS, Learner


@dataclass(frozen=True)
class UpliftOptions:
    """The arguments of one call; columns are named as in the file."""

    input: Path
    output: Path
    outcome: str
    treatment: str
    treated: str | None
    control: str | None
    id: str | None
    exclude: tuple[str, ...]
    cost: float | None
    value: float | None
    learner: Learner
    observational: bool
    separator: str | None
    encoding: str | None
    kinds: tuple[tuple[str, AsKind], ...]

    @staticmethod
    def of(given: argparse.Namespace) -> UpliftOptions:
        """The arguments as ``add_options`` has them. Raises ``UsageError`` when one needs another."""
        values = {name: getattr(given, name) for name in UpliftOptions.__dataclass_fields__}
        if (given.treated is None) != (given.control is None):
            raise UsageError("--treated and --control: name both arms, or neither for a treatment of 0 and 1")
        if given.treated is not None and given.treated == given.control:
            raise UsageError(f"--control: {given.control!r} is the treated arm too; name another value")
        if (given.cost is None) != (given.value is None):
            raise UsageError("--cost and --value: the net gain needs both; give both or neither")
        return UpliftOptions(**values | {"kinds": tuple(pair for pairs in given.kinds for pair in pairs)})


def add_options(arguments: argparse.ArgumentParser) -> None:
    """The arguments of the job; a list is parted by commas."""
    table = arguments.add_argument_group("the table")
    table.add_argument(
        "--input", type=Path, required=True, metavar="PATH", help="CSV, Parquet or Delta: file or folder"
    )
    table.add_argument(
        "--outcome", required=True, metavar="COLUMN", help="what the treatment is to raise: 0/1 or an amount"
    )
    table.add_argument(
        "--treatment", required=True, metavar="COLUMN", help="1 for treated and 0 for control, or see --treated"
    )
    table.add_argument("--treated", metavar="VALUE", help="value of the treatment that names the treated arm")
    table.add_argument(
        "--control", metavar="VALUE", help="value that names the control arm; rows of other arms are left out"
    )
    table.add_argument("--id", metavar="COLUMN", help="names the rows; never a feature; equal ones stay together")
    table.add_argument(
        "--exclude", type=comma_list, default=(), metavar="A,B", help="columns to leave alone, such as other outcomes"
    )
    add_reading_options(table)
    add_kinds_option(table)
    model = arguments.add_argument_group("the model")
    model.add_argument(
        "--learner", choices=LEARNERS, default=LEARNERS[0],
        help="x: imputed effects; t: two models; class: class transformation; transformed: transformed outcome "
        "(default %(default)s)",
    )  # fmt: skip
    model.add_argument(
        "--observational", action="store_true",
        help="the treatment was not drawn at random: rows are weighed by their fitted chance of it",
    )  # fmt: skip
    money = arguments.add_argument_group("money")
    money.add_argument("--cost", type=float, metavar="AMOUNT", help="cost of treating one row")
    money.add_argument("--value", type=float, metavar="AMOUNT", help="worth of one unit of the outcome")
    answer = arguments.add_argument_group("the answer")
    answer.add_argument("--output", type=Path, required=True, metavar="DIR", help="where everything is written")
