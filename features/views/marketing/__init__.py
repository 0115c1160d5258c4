"""Views of what a customer is interested in, and how they answer to being approached."""
