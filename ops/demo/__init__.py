"""The worker shown at work, on a RabbitMQ and an API of its own: `python -m ops.demo`."""
