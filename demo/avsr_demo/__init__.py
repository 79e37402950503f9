"""The graphical demo of avsr. This release holds no application yet; the package is reserved for it."""

__all__: list[str] = []
