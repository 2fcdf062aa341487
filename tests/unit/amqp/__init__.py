"""The AMQP ends, on pika's own loop and real sockets, without a broker."""
