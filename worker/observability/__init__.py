"""What operators see of a running worker: log lines, metrics, probes, and word to systemd."""
