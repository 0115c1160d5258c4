"""Dated ties, from silver: the evidence, the edge table, ties between people, transfers, who knows whom."""
