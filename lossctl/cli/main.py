"""The program: its commands, and the one place where outcomes become exit statuses."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence

import typer
from typer.exceptions import TyperException

from lossctl.cli import baseline as baseline_command
from lossctl.cli import batch as batch_command
from lossctl.cli import compare as compare_command
from lossctl.cli import eval as eval_command
from lossctl.cli import gate as gate_command
from lossctl.cli import losses as losses_command
from lossctl.cli import merge as merge_command
from lossctl.cli import plan as plan_command
from lossctl.cli import schema as schema_command
from lossctl.cli import score as score_command
from lossctl.cli import worst as worst_command
from lossctl.cli.plain import read_plainly
from lossctl.cli.stderr import show_error, show_usage_error
from lossctl.errors import Bug, Exit, LossctlError, SystemRefusal

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
app.command("score", epilog=EPILOG)(score_command.score_files)
app.command("batch", epilog=EPILOG)(batch_command.evaluate_jobs)
app.command("worst", epilog=EPILOG)(worst_command.show_worst)
app.command("compare", epilog=EPILOG)(compare_command.compare_models)
app.command("gate", epilog=EPILOG)(gate_command.run_gate)
app.command("baseline", epilog=EPILOG)(baseline_command.keep_baseline)
app.command("merge", epilog=EPILOG)(merge_command.merge_states)
app.command("plan", epilog=EPILOG)(plan_command.show_plan)
app.command("losses")(losses_command.show_losses)
app.command("schema")(schema_command.show_schema)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and give the exit status; without `argv`, the process ends with it."""
    if argv is None:
        # Collections would walk the modules that are being imported again and again, a tenth of
        # a short run's time; a run leaves next to no cycles behind.
        gc.disable()
        # NumPy would start threads for linear algebra, which nothing here does.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if argv is not None:
        return _status(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The same bytes in every locale; a file name that is no text is shown by its bytes.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    status = _status(sys.argv[1:])
    if spool := sys.modules.get("lossctl.data.spool"):
        spool.release()
    # What is left to do at exit could only change the status: Python complains of streams that it
    # cannot flush, and Arrow's threads now and then abort while they are torn down.
    os._exit(status)


def _status(arguments: Sequence[str]) -> int:
    """Run a command and turn its outcome into an exit status; nothing but this decides on one.

    Typer exits 1 for an uncaught exception and for a closed pipe, which here would read as
    "the model is worse than allowed".
    """
    try:
        return _run(arguments)
    except (SystemExit, BrokenPipeError) as error:
        if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
            return Exit.CLOSED_PIPE
        raise
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except TyperException as error:
        show_usage_error(error, arguments)
        return Exit.USAGE
    except Exception as error:  # noqa: BLE001 - the last resort must catch everything
        known = _as_known(error)
        show_error(known, arguments)
        return known.exit


def _as_known(error: Exception) -> LossctlError:
    if isinstance(error, LossctlError):
        return error
    if isinstance(error, OSError):
        return SystemRefusal(error)
    return Bug(error)


def _run(arguments: Sequence[str]) -> int:
    read_plainly()
    command = typer.main.get_command(app)
    outcome = command.main(arguments, prog_name="lossctl", standalone_mode=False)
    if sys.stdout is not None:  # it is None where the shell has closed it
        sys.stdout.flush()
    return outcome if isinstance(outcome, int) else Exit.DONE
