"""Poses of recorded videos, many at once."""
