"""The alarm rule, its calibration record, p-values and the drift watch."""
