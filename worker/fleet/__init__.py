"""What workers and operators tell each other: pauses, operations, heartbeats."""
