"""Who can introduce whom, whom to ask first, and how an offer spreads."""
