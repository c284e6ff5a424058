"""The scorers that an edge may use, by name."""
