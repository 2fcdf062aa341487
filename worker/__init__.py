"""The task-edit worker: edits from RabbitMQ to the provider's API, in order and in pace."""
