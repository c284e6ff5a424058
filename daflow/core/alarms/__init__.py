"""The alarm rule, the calibration record, p-values and the drift watch."""
