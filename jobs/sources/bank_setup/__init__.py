"""Setting up a bank's folder without Spark: check, proposal, sample."""
