"""The fleet as a whole: what operators want of accounts, what they did, and how each worker is."""
