"""What is configured, with no Spark: settings, table contracts and policies."""
