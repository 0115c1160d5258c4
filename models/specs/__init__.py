"""Model specifications, one file a model."""
