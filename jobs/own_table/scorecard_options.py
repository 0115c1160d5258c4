"""What ``strata scorecard`` may be told."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from strata.jobs.own_table.any_input import add_reading_options
from strata.models.readings.reading_choice import AsKind
from strata.models.scorecard.selection_rules import DROPPED_DRIFTS, SELECTIONS, SIGNS


@dataclass(frozen=True)
class CardOptions:
    """The arguments of one call; columns are named as in the file."""

    input: Path
    output: Path
    target: str
    event: str | None
    indeterminate: tuple[str, ...]
    time: str | None
    window_months: int | None
    known_until: date | None
    id: str | None
    group: str | None
    weight: str | None
    exclude: tuple[str, ...]
    special: tuple[float | str, ...]
    splits: Path | None
    forced: tuple[str, ...]
    forbidden: tuple[str, ...]
    protected: tuple[str, ...]
    max_bins: int
    min_share: float
    stability: float
    selection: str
    drift: str
    signs: str
    monotone: bool
    profit: float | None
    loss: float | None
    model: str | None
    separator: str | None
    encoding: str | None
    kinds: tuple[tuple[str, AsKind], ...]

    @staticmethod
    def of(given: argparse.Namespace) -> CardOptions:
        """The arguments as ``add_options`` has them."""
        values = {name: getattr(given, name) for name in CardOptions.__dataclass_fields__}
        return CardOptions(**values | {"kinds": tuple(pair for pairs in given.kinds for pair in pairs)})


def add_options(arguments: argparse.ArgumentParser) -> None:
    """The arguments of the job; a list is parted by commas."""
    table = arguments.add_argument_group("the table")
    table.add_argument(
        "--input", type=Path, required=True, metavar="PATH", help="CSV, Parquet or Delta: file or folder"
    )
    table.add_argument("--target", required=True, metavar="COLUMN", help="1 for bad and 0 for good, or see --event")
    table.add_argument("--event", metavar="VALUE", help="the bad value of the target; all others are good")
    table.add_argument("--indeterminate", type=_names, default=(), metavar="A,B", help="values that are neither")
    table.add_argument("--id", metavar="COLUMN", help="names the rows; never a feature")
    table.add_argument("--group", metavar="COLUMN", help="rows of one group (a customer) are never split")
    table.add_argument("--weight", metavar="COLUMN", help="weight of each row")
    table.add_argument("--exclude", type=_names, default=(), metavar="A,B", help="columns to leave alone")
    table.add_argument("--special", type=_values, default=(), metavar="A,B", help="values with a bin of their own")
    add_reading_options(table)
    table.add_argument(
        "--as", dest="kinds", action="append", type=_pairs, default=[], metavar="COLUMN=KIND,…",
        help="how a column is read where it isn't found by itself: text, number, comma (decimal comma), point (decimal "
        "point), percent, money, unit (such as 36 months) or order (levels of a scale such as low, middle, high)",
    )  # fmt: skip
    when = arguments.add_argument_group("time")
    when.add_argument("--time", metavar="COLUMN", help="test on the last 30 %% by this column, no day split")
    when.add_argument("--window-months", type=int, metavar="N", help="performance window: younger cases are immature")
    when.add_argument("--known-until", type=date.fromisoformat, metavar="DAY", help="last day of known outcomes")
    by_hand = arguments.add_argument_group("by hand")
    by_hand.add_argument("--splits", type=Path, metavar="FILE", help="JSON of feature to edges or groups of levels")
    by_hand.add_argument("--forced", type=_names, default=(), metavar="A,B", help="features that stay in")
    by_hand.add_argument(
        "--forbidden", type=_names, default=(), metavar="A,B", help="features that stay out, binned all the same"
    )
    by_hand.add_argument(
        "--max-bins", type=int, default=10, metavar="N", help="bins of a feature (default %(default)s)"
    )
    by_hand.add_argument(
        "--min-share", type=float, default=0.05, metavar="S", help="of rows in a bin (default %(default)s)"
    )
    by_hand.add_argument(
        "--stability", type=float, default=0.0, metavar="S", help="0 to 1: weight of keeping signs over time"
    )
    by_hand.add_argument(
        "--selection", choices=SELECTIONS, default=SELECTIONS[0], help="how features are chosen (default %(default)s)"
    )
    by_hand.add_argument(
        "--drift",
        choices=[*DROPPED_DRIFTS],
        default="reversed",
        help="with --time, drop features whose risk turns round over the train's time (reversed), whose distribution "
        "shifts too (shifted), or none (keep); default %(default)s",
    )
    by_hand.add_argument(
        "--signs",
        choices=SIGNS,
        default=SIGNS[0],
        help="whether a feature may count against its own risk beside the others: never (right), or as the regression "
        "has it, near-doubles kept (any); auto is right unless that costs over .005 AUC on rows held out",
    )
    answer = arguments.add_argument_group("the answer")
    answer.add_argument("--output", type=Path, required=True, metavar="DIR", help="where everything is written")
    answer.add_argument(
        "--protected", type=_names, default=(), metavar="A,B", help="columns for the fairness report alone"
    )
    answer.add_argument("--profit", type=float, metavar="MONEY", help="earned on a good account, for the cut-offs")
    answer.add_argument("--loss", type=float, metavar="MONEY", help="lost on a bad one")
    answer.add_argument(
        "--monotone", action="store_true", help="write the monotone challenger and its scores beside the free one"
    )
    answer.add_argument("--model", metavar="NAME", help="register the scorecard in MLflow under this name")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Columns and kinds; what is no kind is refused where the table is read."""
    parts = [part.rpartition("=") if "=" in part else (part, "=", "") for part in _names(text)]
    return tuple((name.strip(), kind.strip()) for name, _, kind in parts)


def _values(text: str) -> tuple[float | str, ...]:
    return tuple(_number(part) for part in _names(text))


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
