"""The simulator keeps what its README says: rules, limits, faults, record."""
