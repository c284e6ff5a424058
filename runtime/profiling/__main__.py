"""`python -m runtime.profiling` is `daflow-profile`."""

from runtime.profiling.cli import main

if __name__ == "__main__":
    main()
