"""The subcommands of `daflow-calibrate`, one file each."""
