"""Views of accounts: what passes through them and how they are kept."""
