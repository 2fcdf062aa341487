"""RabbitMQ: the only importer of pika, and the only place that knows that pika has callbacks.

What there is to await, all on the loop's thread (`worker.loop.Loop`):

- `connection.connect(services, parameters)`: an open connection, and a future that is done,
  with why, when it is closed. `connection.KeptConnection` keeps one up: its `serve` is a coroutine
  that is cancelled when the connection is lost, and what it began in a `TaskGroup` with it.
- `session.channel_of(connection)`: a fresh `Channel` of any connection, whose `call`, `declare`,
  `consume` and `publish` are awaited, and raise `ChannelClosedError` when it is closed; `closed` is
  done then, with why.
- `subscription.Subscription`: `async for delivery in subscription`, and `await
  subscription.ack(tag)`, done when the ack has left the process. `consumer.Consumer.run` keeps a
  queue subscribed, and cancels the work on a subscription when its channel is closed.
- `publisher.ConfirmedPublisher`: `await publisher.publish(publication)` gives a `ConfirmResult`,
  on whatever connection `serve(connection)` has by then.
- `declarer.TopologyDeclarer.declare(connection)`, `lease.Lease.keep(connection)`,
  `journal.Journal.read()`, `tidying.unbind`, `tidying.counts`.
- `session.run`, `session.Session`: a command's connection, step by step.
"""
