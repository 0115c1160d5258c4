"""Views of who a customer is, how steadily, and what registers say of them."""
