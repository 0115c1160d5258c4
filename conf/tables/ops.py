"""Operations: what ran, on what, with what result."""

from __future__ import annotations

from strata.conf.contracts import Layer, Table, col, rule

QUANTILES = ("q01", "q05", "q25", "q50", "q75", "q95", "q99")
TABLE_VERSION = "array<struct<name: string, version: bigint, rows: bigint>>"

ops_run = Table(
    name="ops_run",
    layer=Layer.OPS,
    grain="one row a run and status change",
    description="The job ledger: a row when a run starts and one when it ends; no second row means it was killed.",
    append_only=True,
    columns=(
        col("run_id", "string", "the run"),
        col("job", "string", "the job"),
        col("as_of_date", "date", "the day asked for"),
        col("status", "string", "started, succeeded or failed"),
        col("code_version", "string", "version and hash of the code"),
        col("conf_hash", "string", "hash of settings and arguments"),
        col("inputs", TABLE_VERSION, "tables read, with Delta versions"),
        col("outputs", TABLE_VERSION, "tables written, with Delta versions and rows"),
        col("exit_code", "int", "0 done, 1 bug, 2 usage, 3 input, 4 gate, 5 locked", nullable=True),
        col("error", "string", "one line", nullable=True),
        col("started_at", "timestamp", "start of the run"),
        col("recorded_at", "timestamp", "when this row was written"),
        col("seconds", "double", "run time", unit="s", nullable=True),
    ),
    checks=(rule("status IN ('started', 'succeeded', 'failed')", "unknown status"),),
)

ops_ingest = Table(
    name="ops_ingest",
    layer=Layer.OPS,
    grain="one row a delivered file and silver table",
    description="Exact accounting of ingest: rows in = rows out + quarantined + duplicates, for each file.",
    key=("source_file", "content_sha256", "table_name"),
    columns=(
        col("source_file", "string", "the delivered file"),
        col("table_name", "string", "the silver table"),
        col("content_sha256", "string", "what was in the file"),
        col("rows_in", "bigint", "data rows in the file"),
        col("rows_out", "bigint", "rows in silver that came from it"),
        col("rows_quarantined", "bigint", "rows that broke the contract"),
        col("rows_duplicate", "bigint", "rows that repeat one already taken"),
        col("_ingest_id", "string", "the run that landed the file"),
    ),
    checks=(rule("rows_in = rows_out + rows_quarantined + rows_duplicate", "rows are not accounted for"),),
)

training_manifest = Table(
    name="training_manifest",
    layer=Layer.OPS,
    grain="one row per training set and day on which it was made",
    description="From what a training set was made: feature and table versions and the spine's hash, to remake it.",
    key=("as_of_date", "training_set"),
    columns=(
        col("as_of_date", "date", "the bank day of the run"),
        col("training_set", "string", "the table that holds it"),
        col("manifest", "string", "as JSON"),
        col("run_id", "string", "the run that made it"),
    ),
    slice_by=("as_of_date", "training_set"),
)

feature_slice = Table(
    name="feature_slice",
    layer=Layer.OPS,
    grain="one row a published slice and time that it was published",
    description="The manifest of published features: which definition and source versions each day shows; last wins.",
    append_only=True,
    columns=(
        col("table_name", "string", "the published table"),
        col("view", "string", "the feature view"),
        col("version", "int", "its version"),
        col("definition_hash", "string", "hash of its definition"),
        col("as_of_date", "date", "the bank day"),
        col("sources", "array<struct<name: string, version: bigint>>", "Delta versions of its sources"),
        col("rows", "bigint", "entities in the slice"),
        col("run_id", "string", "the run that published it"),
        col("recorded_at", "timestamp", "when"),
    ),
)

feature_statistics = Table(
    name="feature_statistics",
    layer=Layer.OPS,
    grain="one row a feature and day",
    description="How a day's feature values are spread: nulls, distinct values, quantiles, and ranks for histograms.",
    key=("as_of_date", "feature"),
    columns=(
        col("as_of_date", "date", "the bank day"),
        col("feature", "string", "the feature"),
        col("rows", "bigint", "entities"),
        col("nulls", "bigint", "of which without a value"),
        col("null_ratio", "double", "share without a value"),
        col("distinct", "bigint", "different values, about 2 % off"),
        *(col(name, "double", "of the values", nullable=True) for name in ("mean", "std", "min", "max", *QUANTILES)),
        col("ranks", "array<double>", "a value for each hundredth of the values, in order", nullable=True),
    ),
    slice_by=("as_of_date",),
)
