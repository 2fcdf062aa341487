"""A RabbitMQ of one's own: private nodes for the demo, the tests, chaos runs and benches.

A node has its own ports, folder, cookie and port mapper; it needs no privileges, touches no
RabbitMQ that the machine may run already, and ends with the process that started it.
`python -m ops.rabbitmq` starts one for a person.
"""
