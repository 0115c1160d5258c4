"""What became of a case after its observation date."""
