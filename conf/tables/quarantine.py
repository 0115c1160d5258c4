"""Quarantine: rows that break a contract, each with file, row, column and reason; the line itself stays in bronze."""

from __future__ import annotations

from strata.conf.contracts import Layer, Personal, Table, col

REASON = "file, row, column and what is wrong, in words; the line stands in bronze under the same hash and row"


def _quarantine(silver: str) -> Table:
    return Table(
        name=f"quarantine_{silver}",
        layer=Layer.QUARANTINE,
        grain="one row a refused line",
        description=f"Delivered rows that may not enter {silver}. Made when the first row is refused.",
        key=("content_sha256", "row"),
        columns=(
            col("source_file", "string", "the delivered file"),
            col("content_sha256", "string", "what was in the file"),
            col("row", "bigint", "line number in the file; the header is line 1"),
            col("column_name", "string", "first column at fault; null when the line as a whole is", nullable=True),
            col("reason", "string", REASON, personal=Personal.QUASI),
            col("_ingest_id", "string", "the run that landed the file"),
        ),
    )


quarantine_district = _quarantine("district")
quarantine_customer = _quarantine("customer")
quarantine_account = _quarantine("account")
quarantine_account_holder = _quarantine("account_holder")
quarantine_card = _quarantine("card")
quarantine_standing_order = _quarantine("standing_order")
quarantine_transaction = _quarantine("transaction")
quarantine_loan = _quarantine("loan")
quarantine_loan_outcome = _quarantine("loan_outcome")
