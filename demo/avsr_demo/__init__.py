"""The graphical demo of avsr, started by ``avsr demo``."""

__all__: list[str] = []
