"""The pipeline without a broker."""
