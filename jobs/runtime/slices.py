"""The feature store's tables in the lake: sources at the run's pinned versions, slices and their manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from pyspark.sql import DataFrame

from strata.conf.contracts import Table
from strata.features.store.slice_plan import AS_OF, Slice
from strata.jobs.runtime.tables import Lake

MANIFEST = "feature_slice"


@dataclass(frozen=True)
class FeatureTables:
    """A ``SlicePort`` over a lake. Every source is read at the version that the run has pinned."""

    lake: Lake

    def read(self, name: str, version: int | None = None) -> DataFrame:
        """The table, at ``version`` or as the run sees it."""
        return self.lake.read(name, version)

    def version(self, name: str) -> int | None:
        """The version that the run sees, ``None`` when there is no such table."""
        return self.lake.pin(name).version if self.lake.exists(name) else None

    def declare(self, table: Table) -> None:
        """Make the contract of a published table known."""
        self.lake.declare(table)

    def changes(self, name: str, since: int, until: int) -> DataFrame:
        """What differs between two versions of a table."""
        return self.lake.changes(name, since, until)

    def replace_days(self, parts: Sequence[tuple[Table, DataFrame]], days: Sequence[date]) -> None:
        """Replace the slices of ``days`` in each table by its rows, in one commit a table, side by side.

        Rows are shuffled by day first, so that a day is one file, or several of a good size, and not one a task.
        """
        balanced = f"SELECT /*+ REBALANCE({AS_OF}) */ * FROM {{rows}}"
        self.lake.replace_all(
            {table.name: self.lake.spark.sql(balanced, rows=rows) for table, rows in parts}, slice={"as_of_date": days}
        )

    def slices(self) -> list[Slice]:
        """The manifest, oldest first: as many rows as days and views were published, not as customers."""
        if not self.lake.exists(MANIFEST):
            return []
        names = ("table_name", "view", "version", "definition_hash", AS_OF, "sources", "rows")
        newest = self.lake.read(MANIFEST, self.lake.version(MANIFEST)).orderBy("recorded_at")
        return [
            Slice(table, view, version, made_by, day, tuple((one["name"], one["version"]) for one in sources), rows)
            for table, view, version, made_by, day, sources, rows in newest.select(*names).collect()
        ]

    def record(self, slices: Sequence[Slice]) -> None:
        """Append to the manifest, after the slices that it speaks of stand."""
        if not slices:
            return
        now, run = datetime.now(UTC), self.lake.run_id
        rows = [
            (s.table, s.view, s.version, s.definition_hash, s.day, list(s.sources), s.rows, run, now) for s in slices
        ]
        schema = self.lake.contract(MANIFEST).schema_ddl
        self.lake.append(MANIFEST, self.lake.spark.createDataFrame(rows, schema).coalesce(1))
