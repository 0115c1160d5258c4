"""spark-submit on a standalone master and two workers gives what one process gives.

``make cluster-test`` submits the whole way and the network of people, ``make test-all`` also the jobs after ingest
alone. ``make test`` submits the ingest and the features of a small bank, in ``test_third_bank``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from strata.conf.contracts import Layer
from strata.jobs import build_network
from tests.conftest import Bank, bank_at, in_zone
from tests.jobs import after_ingest
from tests.jobs.standalone import PROJECT, on_cluster
from tests.jobs.whole_bank import CONTRACTS, COUNTS, GOLD, differing, every_job

pytestmark = pytest.mark.integration


def comparable(name: str) -> bool:
    """Whether two runs may be expected to write the same: the books on runs name the run."""
    return bool(CONTRACTS[name].key) and CONTRACTS[name].layer is not Layer.OPS


def assert_same(bank: Bank, other: Bank, names: Iterable[str]) -> None:
    """Keys and decimals exact, floats to 1e-9."""
    with in_zone(bank.spark, bank.settings.bank_timezone):
        for name in names:
            mine, theirs = bank.tables().read(name), other.tables().read(name)
            assert differing(mine, theirs, *CONTRACTS[name].key) == [], name


@pytest.mark.slow
def test_the_jobs_after_ingest_give_the_same(bank: Bank, tmp_path: Path):
    other = bank_at(bank.spark, tmp_path, Path(bank.settings.token_key_file))
    shutil.copytree(Path(bank.lake, "silver"), Path(other.lake, "silver"))
    on_cluster(other.settings, tmp_path, Path(after_ingest.__file__), "--env", "test")
    written = {name for job in every_job(after_ingest.JOB) for name in job.written(bank.settings)}
    assert {"network_risk", "scores"} <= written
    assert_same(bank, other, sorted(filter(comparable, written)))


@pytest.mark.cluster
def test_the_whole_way_gives_the_same(bank: Bank, tmp_path: Path):
    other = bank_at(bank.spark, tmp_path, Path(bank.settings.token_key_file))
    on_cluster(other.settings, tmp_path, PROJECT / "jobs" / "run_all.py", "--env", "test")
    assert_same(bank, other, (*GOLD, *COUNTS, "relationship"))


@pytest.mark.cluster
def test_the_network_of_people_is_the_same(networked: Bank, tmp_path: Path):
    lake = tmp_path / "lake"
    shutil.copytree(Path(networked.lake, "silver"), lake / "silver")
    settings = networked.settings.model_copy(update={"lake": str(lake), "reports": str(tmp_path / "reports")})
    other = replace(networked, root=tmp_path, settings=settings)
    day = settings.as_of.isoformat()
    on_cluster(other.settings, tmp_path, PROJECT / "jobs" / "build_network.py", "--env", "simulated", "--as-of", day)
    assert_same(networked, other, filter(comparable, build_network.JOB.written(settings)))
