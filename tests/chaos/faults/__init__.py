"""What can go wrong in a run: of processes, of the network, of RabbitMQ, of the API."""
