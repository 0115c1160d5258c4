"""Views of what a customer earns, spends, owns and runs (收入、消费、经营)."""
