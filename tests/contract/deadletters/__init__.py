"""Dead letters in a real RabbitMQ: taken, held and given back."""
