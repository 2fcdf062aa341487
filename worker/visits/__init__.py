"""What commands do at RabbitMQ, from connecting to leaving; each function blocks until then."""
