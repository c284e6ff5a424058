"""Poses of many recorded videos, found in parallel: pose tracks to train, calibrate and evaluate with."""
