"""One Spark session for all tests; each test gets scratch folders of its own."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from strata.jobs import local_session


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> SparkSession:
    scratch = tmp_path_factory.mktemp("spark")
    session = local_session(
        cores=2,
        memory="4g",
        shuffle_partitions=2,
        conf={"spark.local.dir": str(scratch), "spark.sql.warehouse.dir": str(scratch / "warehouse")},
    )
    session.sparkContext.setCheckpointDir(str(scratch / "checkpoints"))
    yield session
    session.stop()
