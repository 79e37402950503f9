"""The command line: one function for each command, exit codes, and errors as single lines.

Nothing heavy is imported here, so that ``avsr --help`` is immediate; each command imports what it
needs when it runs.
"""

import gc
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from avsr.commands import interruption
from avsr.commands.bench import bench
from avsr.commands.compare import compare
from avsr.commands.convert import convert
from avsr.commands.demo import demo
from avsr.commands.doctor import doctor
from avsr.commands.evaluate import evaluate
from avsr.commands.flags import told
from avsr.commands.help import HelpfulCommand
from avsr.commands.live import live
from avsr.commands.messages import escape_unprintable, say
from avsr.commands.models import models
from avsr.commands.options import print_version
from avsr.commands.prepare import prepare
from avsr.commands.progress import close_progress
from avsr.commands.serve import serve
from avsr.commands.sinks import sinks
from avsr.commands.train import train
from avsr.commands.transcribe import transcribe
from avsr.errors import AvsrError, UsageError, one_line

# The base class of typer's usage errors, wherever the installed version keeps it.
_ClickException: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)

app = typer.Typer(
    name="avsr",
    help="Audio-visual speech recognition: a video file in, the words spoken in it out.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={
        "help_option_names": ["-h", "--help"],
        "max_content_width": 120,  # else the terminal's
        "auto_envvar_prefix": "AVSR",  # AVSR_TRANSCRIBE_BEAM=5 and so on, for every option
    },
)
app.command(cls=HelpfulCommand)(transcribe)
app.command(cls=HelpfulCommand)(evaluate)
app.command(cls=HelpfulCommand)(compare)
app.command(cls=HelpfulCommand)(prepare)
app.command(cls=HelpfulCommand)(train)
app.command(cls=HelpfulCommand)(convert)
app.command(cls=HelpfulCommand)(demo)
app.command(cls=HelpfulCommand)(serve)
app.command(cls=HelpfulCommand)(live)
app.command(cls=HelpfulCommand)(bench)
app.command(cls=HelpfulCommand)(sinks)
app.add_typer(models)
app.command(cls=HelpfulCommand)(doctor)


@app.callback()
def _common(version: print_version = False) -> None:
    """Audio-visual speech recognition: a video file in, the words spoken in it out."""


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Args:
        arguments: what follows ``avsr`` on the command line.

    Returns:
        The exit code: 0 done, 1 at least one input failed, 2 wrong usage, 3 no model.
    """
    if not arguments:
        run(["--help"])
        return 2
    debug = "--debug" in arguments
    escape_unprintable()
    try:
        exit_code = app(list(arguments), prog_name="avsr", standalone_mode=False)
        sys.stdout.flush()
        if exit_code == interruption.EXIT_CODE:
            interruption.tell_how_to_go_on()
        return exit_code or 0
    except AvsrError as error:
        is_usage = error.exit_code == UsageError.exit_code
        message = _with_help(told(error), arguments) if is_usage else told(error)
        return _fail(error, message, error.exit_code, debug)
    except BrokenPipeError:  # the reader of our output has gone: nothing more to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except _ClickException as error:
        message = _with_help(error.format_message(), arguments)
        return _fail(error, message, error.exit_code, debug)
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {one_line(error)}; --debug shows where"
        return _fail(error, message, 1, debug)
    finally:
        close_progress()


def _with_help(message: str, arguments: Sequence[str]) -> str:
    """What is wrong with a command, and where it says what would be right."""
    command: Any = typer.main.get_command(app)
    path = ["avsr"]
    for word in arguments:
        command = getattr(command, "commands", {}).get(word)
        if command is None:
            break
        path.append(word)
    sentence = message if message.endswith("?") else f"{message.rstrip('.')}."
    return f"{sentence} See {' '.join(path)} --help."


def _fail(error: BaseException, message: str, exit_code: int, debug: bool) -> int:
    close_progress()
    if debug:
        traceback.print_exception(error)
    say(f"avsr: {message}")
    return exit_code


def main() -> None:
    """Entry point of the ``avsr`` command."""
    interruption.watch()
    exit_code = run(sys.argv[1:])
    if exit_code == interruption.EXIT_CODE:
        os._exit(exit_code)  # threads at work are not waited for
    gc.disable()
    gc.freeze()  # the end of the process frees everything: half a second less
    sys.exit(exit_code)
