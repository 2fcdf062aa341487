"""Dead letters as values: read, sorted out, told of, and made into messages again. No I/O."""
