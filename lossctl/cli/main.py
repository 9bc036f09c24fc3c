"""The program: its commands, and the one place where outcomes become exit statuses."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from lossctl.cli import eval as eval_command
from lossctl.cli import losses as losses_command
from lossctl.cli import schema as schema_command
from lossctl.cli.stderr import show_bug, show_error
from lossctl.errors import Exit, LossctlError, UsageError

STATUSES = "\n".join(f"  {status:>3}  {status.meaning}" for status in Exit)
EPILOG = f"\b\nExit status:\n{STATUSES}"

app = typer.Typer(
    name="lossctl",
    help="Exact losses of prediction files, from the shell, in CI and in batches.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _version(value: bool) -> None:  # noqa: FBT001 - Typer hands the flag over so
    if value:
        from lossctl import __version__

        typer.echo(f"lossctl {__version__}")
        raise typer.Exit


@app.callback()
def program(
    version: bool = typer.Option(  # noqa: FBT001 - acted on by its callback
        False,  # noqa: FBT003
        "--version",
        "-V",
        callback=_version,
        is_eager=True,
        help="Show the version and exit.",
    ),
) -> None:
    """Exact losses of prediction files, from the shell, in CI and in batches."""


app.command("eval", epilog=EPILOG)(eval_command.evaluate_files)
app.command("losses")(losses_command.show_losses)
app.command("schema")(schema_command.show_schema)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit status; nothing but this decides on one.

    Typer exits 1 for an uncaught exception and for a closed pipe, which here would read as
    "the model is worse than allowed".
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        outcome = typer.main.get_command(app).main(
            arguments, prog_name="lossctl", standalone_mode=False
        )
        sys.stdout.flush()
    except TyperException as error:
        show_error(UsageError(error.format_message(), hint=_help_hint(error)), arguments)
        return Exit.USAGE
    except LossctlError as error:
        show_error(error, arguments)
        return error.exit
    except BrokenPipeError:
        # Python would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.CLOSED_PIPE
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort must catch everything
        show_bug(error, arguments)
        return Exit.BUG
    return outcome if isinstance(outcome, int) else Exit.DONE


def _help_hint(error: TyperException) -> str:
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help shows the usage" if context is not None else ""
