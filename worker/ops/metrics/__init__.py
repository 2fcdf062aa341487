"""Metrics for Prometheus, made of what the lanes count anyway.

All the work is done when somebody asks, none on the way of an edit. The only importer of
prometheus_client. No label holds an id: accounts, outcomes, reasons, links and, up to a number,
statuses.
"""

from __future__ import annotations

from worker.ops.metrics.collector import Metrics
from worker.ops.metrics.reading import Reading

__all__ = ["Metrics", "Reading"]
