"""Training the flow on windows of normal behaviour."""
