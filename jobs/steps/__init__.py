"""What the mains do, step by step: read pinned tables, call the pure rooms, replace tables."""
