"""What was measured and how to measure it again, with the timing and statistics of `runtime.profiling`."""
