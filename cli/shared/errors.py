"""Errors as a person should see them: one message, no traceback, an exit code."""

import sys
import traceback

import click

from .console import errors

EXIT_USER = 1
"""The input, the geometry or the environment is at fault; the message says what and what would work."""
EXIT_MISMATCH = 3
"""The hardware computed something else than the integer model."""
EXIT_STOPPED = 130
"""Stopped by the person, by Ctrl-C."""
EXIT_INTERNAL = 70
"""A defect of Intramix."""


class UserError(click.ClickException):
    """An error of a command itself, in the words of the person who typed it."""

    exit_code = EXIT_USER


class Stopped(UserError):
    """The person stopped the command; the message says how to go on."""

    exit_code = EXIT_STOPPED


def is_expected(error: BaseException) -> bool:
    """Whether an error was raised on purpose: a type of Intramix's own, the file system's, or by a `raise` of ours."""
    if type(error).__module__.startswith("intramix.") or isinstance(error, OSError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    raised_here = bool(frames) and frames[-1].f_globals.get("__name__", "").startswith("intramix.")
    return raised_here and type(error) in (ValueError, TypeError)


def show(error: BaseException, *, debug: bool) -> int:
    """Prints an error and returns the exit code."""
    if debug:
        traceback.print_exception(error)
    if is_expected(error):
        errors.print(f"[bold red]error:[/] {_escape(str(error))}")
        return EXIT_USER
    if not debug:
        errors.print(f"[bold red]internal error:[/] {_escape(f'{type(error).__name__}: {error}')}")
        errors.print("For the traceback: intramix --debug …")
    return EXIT_INTERNAL


def show_refusal(error: click.ClickException) -> int:
    """Prints an error of the command line, after its usage where that is at fault, and returns the exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, click.UsageError) and error.ctx is not None:
        errors.print(_escape(error.ctx.get_usage()))
        errors.print(f"All options: {_escape(error.ctx.command_path)} --help")
    errors.print(f"[bold red]error:[/] {_escape(error.format_message())}")
    return error.exit_code


def _escape(text: str) -> str:
    return text.replace("[", r"\[")


def main(command: click.Command) -> None:
    """Runs the command line."""
    debug = "--debug" in sys.argv
    try:
        code = command.main(standalone_mode=False)
    except click.exceptions.Abort:
        errors.print("stopped")
        code = EXIT_STOPPED
    except click.ClickException as error:
        code = show_refusal(error)
    except Exception as error:
        code = show(error, debug=debug)
    sys.exit(code if isinstance(code, int) else 0)
