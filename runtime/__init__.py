"""The edge: sources, poses, tracks, scores, alarms. Never imports torch."""
