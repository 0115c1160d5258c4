"""``strata``: one command for every job, the same call as in spark-submit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from strata.jobs import feature_commands
from strata.jobs.bank_commands import COMMANDS
from strata.jobs.job_runner import run
from strata.jobs.runtime.job import Job

# In the order of the flow; each module holds one JOB and is a spark-submit main of its own.
MODULES = (
    "run_all",
    "simulate_bank",
    "compare_banks",
    "ingest",
    "build_network",
    "show_case",
    "build_features",
    "build_cases",
    "train",
    "score",
    "segment",
    "decide",
    "build_report",
    "list_models",
    "promote",
    "check_run",
    "scorecard",
    "uplift",
    "assign",
    "components",
)


def jobs() -> dict[str, Job]:
    """Every job by its command name, of one or two words."""
    found = [import_module(f"strata.jobs.{module}").JOB for module in MODULES]
    return {job.name: job for job in (*found, *feature_commands.JOBS)}


def main(argv: Sequence[str] | None = None) -> int:
    """``strata <job> [arguments]``; without a job, or with --help, the list of jobs."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    known = jobs()
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview(known))
        return 0
    if arguments[0] in COMMANDS:
        return COMMANDS[arguments[0]].run(arguments[1:])
    two = " ".join(arguments[:2])
    if two in known:
        return run(known[two], arguments[2:])
    if arguments[0] not in known:
        print(f"strata: there is no job {arguments[0]!r}; there are: {', '.join([*COMMANDS, *known])}", file=sys.stderr)
        return 2
    return run(known[arguments[0]], arguments[1:])


def _overview(known: dict[str, Job]) -> str:
    lines = "\n".join(f"  {name:<21} {job.help}" for name, job in known.items())
    setting_up = "\n".join(f"  {name:<21} {command.help}" for name, command in COMMANDS.items())
    usage = "usage: strata <job> [--bank DIR] [--env ENV] [--as-of DAY] [--plan] …"
    parts = [usage, f"to set up a bank of your own:\n{setting_up}", f"jobs, in the order of the flow:\n{lines}"]
    return "\n\n".join([*parts, "strata <job> --help tells more."])
