"""What was measured and how to measure it again; ratios against a baseline in the same run, since machines differ."""
