"""The sample that a model learns from: which rows, which columns, held where they can be summed."""
