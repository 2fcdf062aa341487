"""What publishers and subscribers rely on."""
