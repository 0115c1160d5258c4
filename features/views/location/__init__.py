"""Views of where a customer lives, works and goes."""
