"""Loss given default: how likely none or all is lost, and how much in between."""
