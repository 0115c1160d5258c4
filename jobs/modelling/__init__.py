"""The life of a model, whatever model it is: cases, training, validation, registration, scores, decisions."""
