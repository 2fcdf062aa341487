"""The demo, as far as it needs no broker."""
