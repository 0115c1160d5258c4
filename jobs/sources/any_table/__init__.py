"""Any table that an analyst has: CSV however written, Parquet, Delta; read without a contract."""
