"""One CSV file of a table of any size, as RFC 4180 has it: pandas, DuckDB and Excel read it."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import DataFrame

# Quotes are doubled, blanks are kept.
CSV = {
    "header": True,
    "quote": '"',
    "escape": '"',
    "ignoreLeadingWhiteSpace": False,
    "ignoreTrailingWhiteSpace": False,
}


def write_csv(rows: DataFrame, path: Path) -> None:
    """Write ``rows`` as one file, which is there whole or not at all."""
    draft = path.with_suffix(".part")
    rows.coalesce(1).write.mode("overwrite").options(**CSV).csv(str(draft))
    next(draft.glob("part-*.csv")).replace(path)
    for left in draft.iterdir():
        left.unlink()
    draft.rmdir()
