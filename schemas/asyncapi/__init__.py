"""The contract as AsyncAPI 3.0: channels, operations, messages and schemas in one document.

``schemas/asyncapi.yaml`` is what `yaml(document())` gives; a test keeps it true. Operations are
told from the side of those who publish edits and read events, not from the worker's.
"""

from __future__ import annotations

from schemas.asyncapi.document import VERSION, document

__all__ = ["VERSION", "document"]
