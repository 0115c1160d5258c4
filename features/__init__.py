"""Feature definitions and the engine that computes them: DataFrame in, DataFrame out."""
