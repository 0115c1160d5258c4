"""The feature store: views registered, slices published, training sets with their manifest."""
