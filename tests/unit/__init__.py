"""Values in, values out: no broker, no network, a second in all."""
