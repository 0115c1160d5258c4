"""Who may use which features for what: purposes, consent, sensitive columns, leakage."""
