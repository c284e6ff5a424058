"""Skeleton layouts, pose tracks, windows, labels, generated people and data sets."""
