"""Feature views, one file a business subject."""
