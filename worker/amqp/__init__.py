"""RabbitMQ: the only importer of pika, and the only place that knows that pika has callbacks.

What there is to await, all on the loop's thread:

- `session.run`, `session.Session`: a command's connection, step by step.
- `session.channel_of(connection)`: a fresh `Channel` of any connection, whose `call`, `declare`,
  `consume` and `publish` are awaited, and raise `ChannelClosedError` when it is closed.
- `declarer.TopologyDeclarer.declare(connection)`: what all lanes stand on, until it is there.
- `lease.Lease.keep(connection)`: the proof that the lanes are ours, for as long as the connection
  lasts.

The hot path of the worker (`consumer`, `subscription`, `publisher`, `journal`, `link`) calls back.
"""
