"""Views of a customer's contacts, calls and of the network around them."""
