"""Gold: what other systems read, with or without Spark."""
