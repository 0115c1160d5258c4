"""What a treatment changes: models of its effect, and the Qini curve that measures them."""
