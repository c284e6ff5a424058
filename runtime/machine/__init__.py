"""Facts about this machine: board, power mode, processor, versions."""
