"""The operators' console: what the fleet does, what lies dead, and who did what.

`data` follows RabbitMQ's streams and heartbeats and gives pictures of them as the values of
`model`; the pages are made from those alone.
"""
