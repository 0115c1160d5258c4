"""Feature tables: one row an entity and snapshot day."""
