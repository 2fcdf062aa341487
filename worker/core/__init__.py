"""What is decided, without a world to decide it in: values in, values out."""
