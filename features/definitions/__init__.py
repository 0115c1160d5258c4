"""What a feature is: views, their items, what they are made of and how they are named."""
