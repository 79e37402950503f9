"""Settings as the command line calls them: libraries name what is wrong, commands add the option.

This is the one place where a setting's name in Python becomes an option.
"""

from avsr.errors import AvsrError, SeveralErrors, numbered, one_line

_FLAGS = {  # not called alike
    "num_beams": "--beam",
    "noises": "--noise",
    "snrs_db": "--snr",
    "auto_rate": "--rate",
    "cluster": "--ray",
}


def flag(setting: str) -> str:
    """The option that gives a setting, such as ``--ctc-weight`` for ``ctc_weight``."""
    return _FLAGS.get(setting) or f"--{setting.replace('_', '-')}"


def told(error: BaseException) -> str:
    """An error as one line for the command line: with the options that may be given otherwise."""
    if isinstance(error, SeveralErrors):
        count = len(error.errors)
        return f"{count} things are wrong: {numbered([told(one) for one in error.errors])}"
    message = one_line(error)
    if isinstance(error, AvsrError) and error.settings:
        message += f" ({', '.join(map(flag, error.settings))})"
    return message
