"""The pipeline without a broker: edits out of files, events and failures into others."""
