"""The graphical demo of avsr; this release reserves the name and holds no application yet."""

__all__: list[str] = []
