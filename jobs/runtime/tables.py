"""The lake: Delta tables under one root, created from their contracts, read at pinned versions, replaced by slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from strata.conf.contracts import Table
from strata.jobs.runtime.delta_log import latest_version, oldest_version, rows_written, slice_stands
from strata.jobs.runtime.errors import InputError
from strata.jobs.runtime.hadoop import absolute
from strata.jobs.runtime.parallel import at_once

SliceValue = date | int | str
# The values of the columns by which a table is written.
Slice = Mapping[str, SliceValue | Sequence[SliceValue]]


class UndeclaredTableError(RuntimeError):
    """A job has reached for a table that it does not declare: a mistake in the job, not in its inputs."""


@dataclass(frozen=True)
class Reach:
    """The tables that a job declares, and so may read and write."""

    job: str
    reads: frozenset[str]
    writes: frozenset[str]

    def require(self, name: str, *, write: bool) -> None:
        """Raise ``UndeclaredTableError`` where the job does not declare the table."""
        if name not in (self.writes if write else self.reads | self.writes):
            done = "writes" if write else "reads"
            raise UndeclaredTableError(f"job {self.job} {done} table {name} and does not declare it in its {done}")


@dataclass(frozen=True)
class Written:
    """A table's state after a write, or as read: its Delta version and, for a write, its rows."""

    name: str
    version: int
    rows: int | None = None


@dataclass
class Lake:
    """Reads and writes contracted tables; remembers what was read and written, for the ledger.

    The first read of a table pins its version for the whole run, so that a run sees one state.
    """

    spark: SparkSession
    root: str
    run_id: str = "adhoc"
    inputs: dict[str, Written] = field(default_factory=dict)
    outputs: dict[str, Written] = field(default_factory=dict)
    # Contracts of views that are defined in a notebook and not in the code.
    declared: dict[str, Table] = field(default_factory=dict)
    # What the running job declares; outside of a job everything may be reached.
    reach: Reach | None = None
    # Called before every write; it raises where the run may write no more.
    before_write: Callable[[], None] = field(default=lambda: None, repr=False)

    def __post_init__(self) -> None:
        self.root = absolute(self.root)

    def declare(self, table: Table) -> None:
        """Make a contract known that the lake was not given."""
        self.declared[table.name] = table

    def contract(self, name: str) -> Table:
        """The contract called ``name``; raises ``KeyError`` listing what there is."""
        if name not in self.declared:
            raise KeyError(f"no table contract called {name!r}; there are: {', '.join(sorted(self.declared))}")
        return self.declared[name]

    def path(self, name: str) -> str:
        """Where the table lies."""
        return f"{self.root}/{self.contract(name).location}"

    def exists(self, name: str) -> bool:
        """Whether the table has been created."""
        return self.version(name) is not None

    def version(self, name: str) -> int | None:
        """The newest version, ``None`` when there is no table."""
        return latest_version(self.spark, self.path(name))

    def read(self, name: str, version: int | None = None) -> DataFrame:
        """The table at ``version``, else at the version this run has pinned; raises ``InputError`` when missing."""
        self._require(name)
        if version is None:
            version = self.pin(name).version
        return self.spark.read.format("delta").option("versionAsOf", version).load(self.path(name))

    def latest(self, name: str, *, as_of: date | datetime | None = None) -> DataFrame:
        """Of each row of a silver table the version that was known last: at all, or by the first moment of ``as_of``.

        One shuffle by the table's key.
        """
        key = [column for column in self.contract(name).key if column != "known_ts"]
        rows = self.read(name)
        if as_of is not None:
            rows = rows.where(F.col("known_ts") <= F.lit(as_of.isoformat()).cast("timestamp"))
        newest = Window.partitionBy(*key).orderBy(F.desc("known_ts"))
        return rows.withColumn("_place", F.row_number().over(newest)).where("_place = 1").drop("_place")

    def read_optional(self, name: str) -> DataFrame:
        """The table as ``read`` gives it; without rows where it was never made, for no feed of the bank fills it."""
        self._require(name)
        if name in self.outputs or name in self.inputs or self.exists(name):
            return self.read(name)
        return self.spark.createDataFrame([], self.contract(name).schema_ddl)

    def pin(self, name: str) -> Written:
        """Fix the version of ``name`` for this run: what the run itself wrote, else the newest."""
        if name in self.outputs:
            return self.outputs[name]
        if name not in self.inputs:
            version = self.version(name)
            if version is None:
                raise InputError(f"table {name} is missing in {self.root}: run the job that writes it first")
            self.inputs[name] = Written(name, version)
        return self.inputs[name]

    def ensure(self, name: str) -> Table:
        """Create the table from its contract where it is missing, its CHECK in the same commit."""
        contract = self.contract(name)
        if not self.exists(name):
            self._create(contract, self.path(name))
        return contract

    def _create(self, contract: Table, path: str) -> None:
        builder = DeltaTable.createIfNotExists(self.spark).location(path).comment(contract.description)
        for column in contract.columns:
            builder = builder.addColumn(column.name, column.type, nullable=column.nullable, comment=column.description)
        for key, value in contract.properties.items():
            builder = builder.property(key, value)
        if contract.check_sql:
            # What ALTER TABLE … ADD CONSTRAINT would write in a second commit, after a second or more.
            builder = builder.property("delta.constraints.contract", contract.check_sql)
        if contract.slice_by:
            builder = builder.partitionedBy(*contract.slice_by)
        builder.execute()

    def replace(self, name: str, rows: DataFrame, *, slice: Slice | None = None) -> Written:  # noqa: A002
        """Replace the table, or only a slice of it, in one commit that carries the run id.

        ``slice`` gives the value of each column of the contract's ``slice_by``, or several values of one; ``rows`` must
        hold no others. ``rows`` must have the contract's columns, in any order; they are cast to its types. A rerun
        gives the same table. Raises ``InputError`` naming missing or unknown columns.
        """
        self._require(name, write=True)
        self.before_write()
        contract = self.ensure(name)
        writer = (
            self._shaped(contract, rows).write.format("delta").mode("overwrite").option("userMetadata", self.run_id)
        )
        if contract.slice_by:
            if slice is None or set(slice) != set(contract.slice_by):
                raise InputError(f"table {name} is written by {' and '.join(contract.slice_by)}: say which")
            # Literal values: Delta finds the partitions to replace by them.
            writer = writer.option("replaceWhere", " AND ".join(_among(key, slice[key]) for key in contract.slice_by))
        before = self.version(name)
        writer.save(self.path(name))
        return self._note(name, since=before)

    def replace_all(self, tables: Mapping[str, DataFrame], *, slice: Slice | None = None) -> list[Written]:  # noqa: A002
        """``replace`` several tables side by side.

        Each takes the columns of ``slice`` that it is written by. Each is replaced whole or not at all; a kill leaves
        some replaced, and the rerun replaces them again.
        """

        def one(name: str) -> Written:
            own = {key: slice[key] for key in self.contract(name).slice_by if slice and key in slice}
            return self.replace(name, tables[name], slice=own or None)

        return at_once(one, tables)

    def stands(self, written: Written) -> bool:
        """Whether what a commit wrote is still there: nothing came after it, or nothing but other slices."""
        newest = self.version(written.name)
        if newest is None or newest == written.version or not self.contract(written.name).slice_by:
            return newest == written.version
        return slice_stands(self.spark, self.path(written.name), written.version, newest)

    def append(self, name: str, rows: DataFrame) -> Written:
        """Append rows to a log-like table (ledger, bronze)."""
        self._require(name, write=True)
        self.before_write()
        contract = self.ensure(name)
        writer = self._shaped(contract, rows).write.format("delta").mode("append").option("userMetadata", self.run_id)
        writer.save(self.path(name))
        return self._note(name)

    def changes(self, name: str, since: int, until: int) -> DataFrame:
        """Rows that stand in one of two versions of a table and not, or not as often, in the other.

        From the change feed: what a rewrite deleted and inserted again cancels out. A table without a
        feed (created before it had one) is compared whole. One shuffle of the changed rows. Raises
        ``InputError`` when the log no longer reaches back to the older version.
        """
        low, high = min(since, until), max(since, until)
        oldest = oldest_version(self.spark, self.path(name))
        if oldest is None or low < oldest - 1:
            raise InputError(f"table {name}: what changed since version {low} has been cleaned away; rebuild from it")
        columns = [F.col(f"`{column.name}`") for column in self.contract(name).columns]
        if self._has_change_feed(name):
            feed = self.spark.read.format("delta").option("readChangeFeed", "true")
            feed = feed.option("startingVersion", low + 1).option("endingVersion", high)
            entering = F.col("_change_type").isin("insert", "update_postimage")
            rows = feed.load(self.path(name)).select(*columns, F.when(entering, 1).otherwise(-1).alias("_net"))
        else:
            sides = [(self.read(name, low), -1), (self.read(name, high), 1)]
            before, after = (side.select(*columns, F.lit(sign).alias("_net")) for side, sign in sides)
            rows = before.unionByName(after)
        net = rows.groupBy(*columns).agg(F.sum("_net").alias("_net"))
        return net.where("_net <> 0").drop("_net")

    def _require(self, name: str, *, write: bool = False) -> None:
        if self.reach is not None:
            self.reach.require(name, write=write)

    def _has_change_feed(self, name: str) -> bool:
        detail = DeltaTable.forPath(self.spark, self.path(name)).detail().select("properties").first()
        return detail is not None and detail["properties"].get("delta.enableChangeDataFeed") == "true"

    def _shaped(self, contract: Table, rows: DataFrame) -> DataFrame:
        missing = [name for name in contract.names if name not in rows.columns]
        unknown = [name for name in rows.columns if name not in contract.names]
        if missing or unknown:
            raise InputError(f"table {contract.name}: columns missing {missing}, not in the contract {unknown}")
        return rows.select(*(F.col(f"`{c.name}`").cast(c.type).alias(c.name) for c in contract.columns))

    def _note(self, name: str, *, since: int | None = None) -> Written:
        """What the last commit wrote, from the table's log; replacing nothing by nothing commits nothing."""
        version = self.version(name)
        if version is None:
            raise InputError(f"table {name} has vanished from {self.root} while it was written")
        rows = 0 if version == since else rows_written(self.spark, self.path(name), version)
        self.outputs[name] = Written(name, version, rows)
        return self.outputs[name]


def _among(column: str, given: SliceValue | Sequence[SliceValue]) -> str:
    """The predicate of a slice's values, as SQL."""
    values = [given] if isinstance(given, date | int | str) else given
    return f"{column} IN ({', '.join(map(_literal, values))})"


def _literal(value: SliceValue) -> str:
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
