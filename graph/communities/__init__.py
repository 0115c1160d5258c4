"""Groups of people that keep their names from day to day."""
