"""The commands against a real RabbitMQ."""
