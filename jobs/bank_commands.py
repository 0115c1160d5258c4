"""``strata init``, ``check`` and ``columns``: to set up a bank's folder, in seconds and without a session."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from strata.conf.banks import BankError, load_bank, read_bank
from strata.conf.banks.modules import BankModuleError
from strata.conf.banks.problems import nearest
from strata.conf.banks.reading import bank_folder
from strata.conf.contracts import Table
from strata.conf.settings import SettingsError, load_settings
from strata.conf.tables import SILVER
from strata.jobs.runtime.errors import UsageError
from strata.jobs.sources.bank_setup.bank_check import check_bank, column_lines
from strata.jobs.sources.bank_setup.bank_proposal import write_proposal
from strata.jobs.sources.bank_setup.bank_sample import write_sample

# For settings of which only the places are asked.
NO_DAY = "2000-01-01"


@dataclass(frozen=True)
class Command:
    """A command that needs no session, lake or ledger: its name, help, arguments, and what it does (the exit code)."""

    name: str
    help: str
    arguments: Callable[[argparse.ArgumentParser], None]
    body: Callable[[argparse.Namespace], int]

    def run(self, argv: Sequence[str]) -> int:
        """Run with command-line arguments; returns the exit code, errors print one line on stderr."""
        parser = argparse.ArgumentParser(prog=f"strata {self.name}", description=self.help)
        self.arguments(parser)
        try:
            return self.body(parser.parse_args(argv))
        except SystemExit as stop:
            return int(stop.code or 0)
        except (BankError, BankModuleError, SettingsError, UsageError) as wrong:
            print(f"strata {self.name}: {wrong}", file=sys.stderr)
            return UsageError.exit_code


def _init_arguments(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("folder", type=Path, metavar="DIR", help="the folder to make")
    arguments.add_argument(
        "--from", dest="raw", type=Path, metavar="RAW", help="propose feeds for the files in a folder"
    )


def _init(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"{folder}: is not empty; name a folder that isn't there yet")
    written = write_proposal(folder, options.raw) if options.raw else write_sample(folder)
    print("\n".join(f"  {folder}/{name}" for name in written))
    if options.raw:
        print(f"\nproposed by what was found: look at every file, then\n  strata check --bank {folder}")
        return 0
    print(f"\nnext:\n  strata check --bank {folder}\n  strata run --bank {folder}\n  strata models --bank {folder}")
    return 0


def _check_arguments(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("--bank", required=True, metavar="DIR", help="the folder of a bank, or a shipped one's name")
    arguments.add_argument("--landing", type=Path, metavar="DIR", help="where its files are (default: what it says)")


def _check(options: argparse.Namespace) -> int:
    landing = options.landing or _landing(options.bank)
    checked = check_bank(bank_folder(options.bank), landing)
    print(checked.text)
    return checked.exit_code


def _landing(bank: str) -> Path | None:
    """The landing folder that the bank's settings name. Raises ``SettingsError`` where those are wrong."""
    if read_bank(bank_folder(bank))[1]:
        return None
    own = load_bank(bank).settings
    named = load_settings("local", bank=bank, as_of=own.get("as_of", NO_DAY)).landing
    return Path(named) if named else None


def _columns_arguments(arguments: argparse.ArgumentParser) -> None:
    arguments.add_argument("table", nargs="?", help="a silver table; without one all are listed")
    arguments.add_argument("--bank", metavar="DIR", help="a bank with tables or columns of its own")


def _columns(options: argparse.Namespace) -> int:
    tables: dict[str, Table] = dict(SILVER)
    if options.bank:
        bank, problems = read_bank(bank_folder(options.bank))
        if bank is None:
            raise UsageError(str(problems[0]))
        tables = dict(bank.silver)
    if options.table is None:
        print("\n".join(f"{table.name:<24} {table.grain}" for table in tables.values()))
        return 0
    if options.table not in tables:
        found = nearest(options.table, tables)
        hint = f"did you mean {found}?" if found else "strata columns lists them"
        raise UsageError(f"{options.table}: no such silver table; {hint}")
    print("\n".join(column_lines(tables[options.table])))
    return 0


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("init", "a small commented bank with sample files to begin with", _init_arguments, _init),
        Command("check", "what is wrong in a bank's folder, and what it can fill", _check_arguments, _check),
        Command("columns", "what a silver table needs: types, units, allowed values", _columns_arguments, _columns),
    )
}
