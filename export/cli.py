"""The command `daflow-export` and its subcommands."""

from __future__ import annotations

from export.commands.export import export as main
from export.commands.inspect import inspect
from export.commands.pose import pose

main.add(pose)
main.add(inspect)

if __name__ == "__main__":
    main()
