"""The model: terms with coefficients, predictions, uncertainty, and its file."""
