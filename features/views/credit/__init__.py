"""Views of credit: asked for, owed, paid back, collected, and what bureaus report."""
