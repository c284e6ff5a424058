"""What is kept of an alarm to be replayed: the skeletons of everybody, from before it began until after it ended."""
