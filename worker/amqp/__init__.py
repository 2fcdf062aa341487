"""RabbitMQ: the only importer of pika."""
