"""What the whole way writes for the embedded bank, and how two makings of a table are compared."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from strata.conf.banks import load_bank
from strata.conf.contracts import Layer
from strata.conf.settings import load_settings
from strata.jobs import run_all
from strata.jobs.runtime.job import Job
from strata.jobs.table_catalog import TABLES, contracts_of


def every_job(job: Job) -> list[Job]:
    return [job, *(inner for step in job.steps for inner in every_job(step))]


# What the run writes for this bank; ties between people are known to another one.
WRITTEN = {name for job in every_job(run_all.JOB) for name in job.written(load_settings("test"))}
CONTRACTS = {**TABLES, **contracts_of(load_bank("berka"))}
GOLD = sorted(name for name in WRITTEN if CONTRACTS[name].layer is Layer.GOLD)
COUNTS = {
    "loan": 682,
    "training_set_loan_default": 392,
    "scores": 1229,
    "application_decision": 682,
    "network_risk": 1229,
}


def differing(left: DataFrame, right: DataFrame, *key: str) -> list[str]:
    """Columns in which two frames differ: floats by more than 1e-9 of their size, all else at all."""
    sides = [
        frame.select(*key, *(F.col(f"`{c}`").alias(f"{side}{i}") for i, c in enumerate(left.columns)))
        for side, frame in (("l", left), ("r", right))
    ]
    both = sides[0].join(sides[1], [*key], "full_outer")
    unlike = []
    for place, field in enumerate(left.schema):
        mine, theirs = F.col(f"l{place}"), F.col(f"r{place}")
        equal = mine.eqNullSafe(theirs)
        if field.dataType.typeName() in ("double", "float"):
            close = F.abs(mine - theirs) <= 1e-9 * F.greatest(F.abs(mine), F.abs(theirs), F.lit(1.0))
            equal = equal | F.coalesce(close, F.lit(False))
        unlike.append(F.count_if(~equal).alias(field.name))
    counts = both.agg(*unlike).head().asDict()
    return [name for name, count in counts.items() if count]
