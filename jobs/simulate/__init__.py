"""The simulated bank: a whole bank with known truth, at any size, landed as raw files."""
