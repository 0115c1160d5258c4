"""Pages: of a run, of a scorecard, of the feature catalogue, of a network case, of two banks side by side."""
