"""How well scores separate, what cut-offs bring, and how fair decisions are."""
