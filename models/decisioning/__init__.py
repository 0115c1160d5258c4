"""Credit decisions and prices from scores under a policy."""
