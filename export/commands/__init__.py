"""The subcommands of `daflow-export`, one file each."""
