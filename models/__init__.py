"""Models and decisions: a training set in; scorecards, segments, decisions and their evidence out."""
