"""What operators deploy, run natively as far as a machine without an engine can."""
