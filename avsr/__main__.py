"""``python -m avsr`` is the same as the command ``avsr``."""

from avsr.cli import main

if __name__ == "__main__":
    main()
