"""The subcommands of `daflow` that need the `edge` extra, one file each."""
