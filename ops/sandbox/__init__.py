"""A whole system to try things on: RabbitMQ, the simulated API and a worker, as `taskedit sandbox`.

It ships in the wheel with the simulator and the private RabbitMQ, so publishers can have it in CI.
"""
