"""What every command that takes somebody's table shares: the options of reading, and the notes of what was done."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path

from strata.jobs.runtime.job import Context
from strata.jobs.sources.any_table.csv_types import Role
from strata.jobs.sources.any_table.reading import AnyTable, read_any
from strata.models.readings.reading_choice import AsKind


def add_reading_options(arguments: argparse._ActionsContainer) -> None:
    """``--separator`` and ``--encoding``, which hold for every CSV file of the command."""
    arguments.add_argument("--separator", metavar="CHAR", help="of a CSV file, where it isn't found by itself")
    arguments.add_argument(
        "--encoding", metavar="NAME", help="of a CSV file that isn't UTF-8, such as cp1252, gbk or gb18030"
    )


def read_table(
    context: Context,
    path: Path,
    *,
    fewest: int = 2,
    roles: Mapping[str, Role] | None = None,
    kinds: Mapping[str, AsKind] | None = None,
    untouched: Collection[str] | None = (),
) -> AnyTable:
    """The table at ``path``, read as the command's options say (see ``read_any``).

    What was done to it is printed at once, so that it is known when a later step refuses.
    """
    options = context.options
    table = read_any(
        context.spark,
        path,
        separator=options.separator,
        encoding=options.encoding,
        fewest=fewest,
        roles=roles,
        kinds=kinds,
        untouched=untouched,
    )
    for note in table.notes:
        context.progress.line(f"note: {path.name}: {note}")
    return table
