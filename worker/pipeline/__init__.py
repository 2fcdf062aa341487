"""The way of an edit: delivered, put in its job's turn, called, judged, settled."""
