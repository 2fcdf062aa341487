"""Everything about dead letters but the words of commands: read, found, planned, sent again."""
