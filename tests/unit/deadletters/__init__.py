"""Dead letters as values."""
