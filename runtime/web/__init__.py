"""The live page, its data, and the metrics."""
