"""Fraud in the network: rings, mules, money that goes in circles, one person behind several records."""
