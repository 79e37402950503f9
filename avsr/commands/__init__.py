"""The commands of ``avsr``, one module each; nothing heavy is imported before a command runs."""

__all__: list[str] = []
