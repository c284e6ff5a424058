"""What runs on the device: sources, poses, tracks, scores, alarms. It never imports torch."""
