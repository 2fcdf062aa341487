"""Of the client, what needs no peer."""
