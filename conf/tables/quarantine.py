"""Quarantine: rows that break a contract, each with file, row, column and reason; the line itself stays in bronze."""

from __future__ import annotations

from strata.conf.contracts import Layer, Personal, Table, col

REASON = "file, row, column and what is wrong, in words; the line stands in bronze under the same hash and row"


def quarantine_of(silver: str) -> Table:
    """Where the refused rows of a silver table stand."""
    return Table(
        name=f"quarantine_{silver}",
        layer=Layer.QUARANTINE,
        grain="one row a refused line",
        description=f"Delivered rows that may not enter {silver}. Made when the first row is refused.",
        key=("source_file", "content_sha256", "row"),
        columns=(
            col("source_file", "string", "the delivered file"),
            col("content_sha256", "string", "what was in the file"),
            col("row", "bigint", "line or row number in the file; the header of a CSV is line 1"),
            col("column_name", "string", "first column at fault; null when the line as a whole is", nullable=True),
            col("reason", "string", REASON, personal=Personal.QUASI),
            col("_ingest_id", "string", "the run that landed the file"),
        ),
    )
