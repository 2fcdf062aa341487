"""Replies that go wrong, as values: a fault gives steps, a connection plays them."""
