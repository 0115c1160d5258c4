"""Boosted trees: the challenger of a scorecard, free and monotone."""
