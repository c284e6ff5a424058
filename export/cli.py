"""The command `daflow-export` and its subcommand `inspect`."""

from __future__ import annotations

from export.commands.export import export as main
from export.commands.inspect import inspect

main.add(inspect)

if __name__ == "__main__":
    main()
