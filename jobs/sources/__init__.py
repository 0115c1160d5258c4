"""Adapters that land real or simulated data and bring it to silver."""
