"""RESULTS.md and its chart, from what the sections have saved."""
