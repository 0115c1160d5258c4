"""Which introductions are worth asking for."""
