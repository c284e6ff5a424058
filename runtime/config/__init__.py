"""The configuration of the edge: its schema, its file, its options and its secrets."""
