"""Chaos: edits published against an outside ledger while everything around the worker breaks.

`python -m tests.chaos --seconds 60 --seed 7` runs it; `audit` says what the evidence shows.
"""
