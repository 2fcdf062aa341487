"""What is measured, a module a section: each takes the ground and gives rows to be saved."""
