"""What the worker's own parts cost alone: the least that it could cost with these parts."""
