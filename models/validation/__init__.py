"""What a model is worth on cases that it has not seen."""
