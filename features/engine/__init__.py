"""The engine that computes features: point-in-time lookups, windows, and the planner over both."""
