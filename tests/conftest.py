"""One Spark session a process for all its tests, and one run of each bank; each test gets scratch folders of its own.

``make test`` runs two processes: what plans and compiles in the driver keeps one core busy, not two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from strata.conf.banks import Bank as DeclaredBank
from strata.conf.banks import load_bank
from strata.conf.settings import Settings, load_settings
from strata.jobs import build_network, ingest, local_session, run_all, simulate_bank
from strata.jobs.job_runner import execute, parser
from strata.jobs.runtime.job import Job
from strata.jobs.runtime.tables import Lake
from strata.jobs.table_catalog import open_lake

ZONE = "spark.sql.session.timeZone"
# Which bank's lake a notebook reads, by the name of its fixture; the whole embedded one where nothing is said.
LAKES = {"dormant_customers": "ingested", "ring_investigation": "networked"}
# Which tests share a bank, by parts of their names; where none fits, a file is for itself.
SHARING = {
    "simulated": (
        "test_customer_views",
        "test_ingest_berka",
        "test_simulated_bank",
        "test_simulated_network",
        *(f"[{notebook}]" for notebook in LAKES),
    ),
    "embedded": ("test_whole_bank", "test_cluster", "test_feature_commands", "test_notebooks_run"),
}
# The scopes that take longest, in that order, of which none may be left for the end.
LONGEST = (
    "simulated",
    "embedded",
    "test_published_slices",
    "test_third_bank",
    "test_graph_oracles",
    "test_simulated_truth",
    "test_graph_risk",
    "test_scorecard_job",
)


def scope_of(nodeid: str) -> str:
    """The bank that a test shares with others, else its file: what has one scope runs in one process."""
    shared = (bank for bank, parts in SHARING.items() if any(part in nodeid for part in parts))
    return next(shared, nodeid.partition("::")[0])


class Sharing(LoadScopeScheduling):
    """What shares a bank runs in one process, and so does a file: nothing is made twice. The longest are dealt first.

    ``--dist loadgroup`` would do, but for pytest 9.2, whose node ids no longer follow what xdist 3.8 appends to them.
    """

    def __init__(self, config: pytest.Config, log: Producer) -> None:
        super().__init__(config, log)
        # Scopes in the order of the tests, not by how many tests are in them.
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest scopes first, so that the two processes end at about the same time; all others as they are found."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(scope_of(item.nodeid).rpartition("/")[2].removesuffix(".py"), len(places)))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    return Sharing(config, log)


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    scratch = tmp_path_factory.mktemp("spark")
    session = local_session(
        cores=2,
        memory="4g",
        shuffle_partitions=2,
        small_data=True,
        conf={
            "spark.local.dir": str(scratch),
            "spark.sql.warehouse.dir": str(scratch / "warehouse"),
            # A log in the cache holds some 5 MB of plans, and a process of tests sees many hundred tables.
            "spark.databricks.delta.delta.log.cacheSize": "128",
        },
    )
    session.sparkContext.setCheckpointDir(str(scratch / "checkpoints"))
    yield session
    session.stop()


@dataclass(frozen=True)
class Bank:
    """A folder with the lake, the registry and the pages of a run, and the settings it was made with."""

    root: Path
    settings: Settings
    spark: SparkSession

    @property
    def lake(self) -> str:
        return self.settings.lake

    @property
    def bank(self) -> DeclaredBank:
        return load_bank(self.settings.bank)

    def tables(self) -> Lake:
        return open_lake(self.spark, self.settings)

    def run(self, job: Job, *arguments: str) -> int:
        with in_zone(self.spark, self.settings.bank_timezone):
            return execute(job, self.settings, parser(job).parse_args([*arguments]), self.spark)


@contextmanager
def having(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: spark.conf.get(name) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, kept in before.items():
            spark.conf.set(name, kept)


def in_zone(spark: SparkSession, zone: str) -> AbstractContextManager[None]:
    return having(spark, {ZONE: zone})


def bank_at(spark: SparkSession, root: Path, key: Path) -> Bank:
    """A bank in ``root``; banks with one key have equal tokens."""
    settings = load_settings(
        "test",
        lake=str(root / ".strata" / "lake"),
        reports=str(root / ".strata" / "reports"),
        tracking_uri=f"sqlite:///{root}/.strata/mlflow.db",
        token_key_file=str(key),
    )
    return Bank(root, settings, spark)


@pytest.fixture(scope="session")
def bank(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The whole way on the embedded bank, run once: raw files to decisions and the page."""
    root = tmp_path_factory.mktemp("bank")
    made = bank_at(spark, root, root / "token.key")
    assert made.run(run_all.JOB) == 0
    return made


@pytest.fixture(scope="session")
def landed(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    """The raw files and the truth of a small simulated bank."""
    root = tmp_path_factory.mktemp("simulated")
    settings = load_settings(
        "simulated",
        lake=str(root / "lake"),
        landing=str(root / "landing"),
        reports=str(root / "reports"),
        tracking_uri=f"sqlite:///{root}/mlflow.db",
        token_key_file=str(root / "token.key"),
        simulation={"customers": 800, "start": date(2025, 1, 1), "months": 3, "drop": "month"},
    )
    made = Bank(root, settings, spark)
    assert made.run(simulate_bank.JOB) == 0
    return made


@pytest.fixture(scope="session")
def ingested(landed: Bank) -> Bank:
    """The same bank with its lake: bronze, silver, quarantine."""
    assert landed.run(ingest.JOB) == 0
    return landed


@pytest.fixture(scope="session")
def networked(ingested: Bank) -> Bank:
    """The same bank with its network, as of the morning on which the last drop can be used."""
    bank = replace(ingested, settings=ingested.settings.model_copy(update={"as_of": date(2025, 4, 1)}))
    assert bank.run(build_network.JOB) == 0
    return bank
