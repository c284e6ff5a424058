"""The subcommands of `daflow`, one file each."""
