"""What RabbitMQ does with what a consumer had, on every version: all of the order rests on it."""
