"""What is decided, by table and by property."""
