"""A stand-in of the provider's API (`POST /aivoice/taskEdit`); see README.md beside this."""
