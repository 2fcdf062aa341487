"""Unit, contract, acceptance, chaos, bench."""
