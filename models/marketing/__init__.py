"""Whom to invite with what: offers assigned under limits."""
