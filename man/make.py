"""Write the generated files, man pages and tables of README.md, or check that they are fresh.

Run ``python man/make.py`` to write them and ``python man/make.py --check`` to compare only. They
are derived from the tree of commands, the catalogue of losses and the table of exit statuses, so
they never differ from the program; dates and terminals play no part.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from lossctl import __version__, catalogue
from lossctl.cli.gate import config_schema
from lossctl.cli.main import app
from lossctl.errors import Exit
from lossctl.losses import Loss, Spec

ROOT = Path(__file__).parents[1]
COMMAND = "python man/make.py"
MANUAL = "lossctl manual"

SPECS = (
    "A loss is asked for by a spec: its name or one of its other names, then a colon and the "
    "parameters that differ from their defaults, as in huber:delta=1.5. A family is asked for by "
    "@ and its name, as in @regression."
)
ROLES = (
    "Every loss is a function from its roles, which are filled by columns, to one number for each "
    "row. A role of shape (rows,) takes one column, one of shape (rows, K) takes K columns or a "
    "column of lists. The letters of the formulas:"
)
EXAMPLES = (
    "The examples run in a clone of the repository, where the folder sample_data lies. "
    "lossctl losses NAME shows a loss as this page does."
)
SYMBOLS = (
    ("p, z", "the prediction: a number or probability, and a score or logit"),
    ("t", "the target, that is the truth"),
    ("k, j", "classes 0 to K-1; t_k is 1 for the true class unless the target is soft"),
    ("l, r", "the left and the right vector of a pair"),
    ("a, p, n", "anchor, positive and negative of a triplet"),
    ("I, U", "area or pixels of intersection and union"),
    ("mean(...)", "the mean over rows: the exact sum divided by their number and rounded once"),
)


# The tree of commands ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    """An argument or an option of a command."""

    names: tuple[str, ...]
    """The flags of an option; none for an argument."""
    metavar: str
    """The placeholder of the value; empty for an option that takes none."""
    help: str
    default: str
    variable: str
    """The environment variable that stands in for it."""
    required: bool


@dataclass(frozen=True)
class Command:
    """A command as it explains itself."""

    words: tuple[str, ...]
    """What is typed, as in ``("lossctl", "eval")``."""
    paragraphs: tuple[str, ...]
    examples: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    commands: tuple[Command, ...]

    @property
    def page(self) -> str:
        """The name of its man page."""
        return "-".join(self.words)

    @property
    def summary(self) -> str:
        """Its first paragraph as a phrase."""
        first = self.paragraphs[0]
        return first[0].lower() + first[1:].removesuffix(".")

    @property
    def arguments(self) -> list[Parameter]:
        """What is given by position."""
        return [parameter for parameter in self.parameters if not parameter.names]

    @property
    def options(self) -> list[Parameter]:
        """What is given by flag."""
        return [parameter for parameter in self.parameters if parameter.names]


def read_commands() -> Command:
    """Read the tree of commands from Typer; nothing else in this file knows Typer."""
    return _read_command(typer.main.get_command(app), ("lossctl",), None)


def _read_command(command: Any, words: tuple[str, ...], parent: typer.Context | None) -> Command:
    context = typer.Context(command, parent=parent, **command.context_settings)
    # A backspace keeps Typer from filling the lines that follow; here it marks the examples.
    blocks = [block for block in (command.help or "").split("\n\n") if block.strip()]
    examples = [line.strip() for block in blocks if "\b" in block for line in block.splitlines()]
    return Command(
        words,
        tuple(" ".join(block.split()) for block in blocks if "\b" not in block),
        tuple(line for line in examples if line.startswith(words[0])),
        tuple(
            _read_parameter(parameter)
            for parameter in command.get_params(context)
            if not parameter.hidden
        ),
        tuple(
            _read_command(child, (*words, name), context)
            for name, child in getattr(command, "commands", {}).items()
            if not child.hidden
        ),
    )


def _read_parameter(parameter: Any) -> Parameter:
    is_option = parameter.param_type_name == "option"
    has_value = not (is_option and parameter.is_flag)
    default = parameter.default if has_value else None
    return Parameter(
        tuple(sorted(parameter.opts, key=len)) if is_option else (),
        (parameter.metavar or parameter.name.upper()).strip("[]") if has_value else "",
        parameter.help or "",
        "" if default in (None, [], ()) else str(default),
        parameter.envvar or "",
        parameter.required,
    )


# Roff -------------------------------------------------------------------------------------------

GLYPHS = {"\\": "rs", "'": "aq", "`": "ga", "^": "ha", "~": "ti", '"': "dq"}
"""Characters that roff would take for its own or turn into typographic ones."""


def escaped(text: str) -> str:
    """Write plain text for roff, in ASCII and on one line."""
    glyphs = (
        f"\\[{GLYPHS[letter]}]"
        if letter in GLYPHS
        else "\\-"
        if letter == "-"
        else letter
        if letter.isascii()
        else f"\\[u{ord(letter):04X}]"
        for letter in " ".join(text.split())
    )
    line = "".join(glyphs)
    return f"\\&{line}" if line.startswith(".") else line


def bold(text: str) -> str:
    """Write what is typed as it stands."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """Write a placeholder."""
    return f"\\fI{escaped(text)}\\fR"


def title(name: str, section: int, summary: str) -> list[str]:
    """Start a page; its lines are neither hyphenated nor stretched, as names and code need it."""
    return [
        f'.\\" Generated by "{COMMAND}"; do not edit.',
        f'.TH {escaped(name.upper())} {section} "" "lossctl {__version__}" "{MANUAL}"',
        ".nh",
        ".ad l",
        ".SH NAME",
        f"{escaped(name)} \\- {escaped(summary)}",
    ]


def section(name: str, lines: Iterable[str]) -> list[str]:
    """Give a section, or nothing where it would be empty."""
    body = list(lines)
    return [f'.SH "{escaped(name.upper())}"', *body] if body else []


def paragraphs(texts: Iterable[str]) -> list[str]:
    """Give plain paragraphs."""
    return [line for text in texts for line in (".PP", escaped(text))]


def item(tag: str, text: str, *, indent: int | None = None) -> list[str]:
    """Give a tag, already in roff, and the plain text that explains it."""
    return [".TP" if indent is None else f".TP {indent}", tag, escaped(text)]


def verbatim(lines: Iterable[str]) -> list[str]:
    """Give lines as they stand, indented."""
    return [".PP", ".RS 4", ".EX", *(escaped(line) for line in lines), ".EE", ".RE"]


def see_also(*pages: tuple[str, int]) -> list[str]:
    """Give references to other pages."""
    return section("See also", [", ".join(f"{bold(name)}({number})" for name, number in pages)])


# Pages of commands ------------------------------------------------------------------------------


def command_page(command: Command, others: Iterable[Command]) -> str:
    """Explain a command."""
    lines = title(command.page, 1, command.summary)
    lines += section("Synopsis", [_synopsis(command)])
    lines += section("Description", paragraphs(command.paragraphs))
    lines += section("Commands", [line for child in command.commands for line in _child(child)])
    lines += section("Arguments", _parameters(command.arguments))
    lines += section("Options", _parameters(command.options))
    lines += section("Exit status", exit_statuses())
    lines += section("Environment", _environment(command))
    lines += section("Examples", verbatim(command.examples) if command.examples else [])
    pages = [(other.page, 1) for other in others if other is not command]
    return _joined([*lines, *see_also(*pages, ("lossctl-losses", 7))])


def _synopsis(command: Command) -> str:
    parts = [bold(" ".join(command.words))]
    parts += [
        f"{bold(option.names[0])} {italic(option.metavar)}"
        for option in command.options
        if option.required
    ]
    parts.append(f"[{italic('OPTIONS')}]")
    parts += [
        italic(argument.metavar) if argument.required else f"[{italic(argument.metavar)}]"
        for argument in command.arguments
    ]
    if command.commands:
        parts.append(f"{italic('COMMAND')} [{italic('ARGUMENTS')}]")
    return " ".join(parts)


def _child(command: Command) -> list[str]:
    return item(f"{bold(command.page)}(1)", command.paragraphs[0])


def _parameters(parameters: Iterable[Parameter]) -> Iterator[str]:
    for parameter in parameters:
        tag = ", ".join(bold(name) for name in parameter.names)
        value = italic(parameter.metavar) if parameter.metavar else ""
        default = f"The default is {parameter.default}." if parameter.default else ""
        yield from item(" ".join(filter(None, (tag, value))), f"{parameter.help} {default}")


def _environment(command: Command) -> Iterator[str]:
    variables = [option.variable for option in command.options if option.variable]
    if not variables:
        return
    text = "An option that is not on the command line takes its value from the environment:"
    yield from paragraphs([f"{text} {', '.join(variables)}."])
    if "LOSSCTL_COLOR" in variables:
        yield from paragraphs(["NO_COLOR, set to anything, switches colour off."])


def exit_statuses() -> Iterator[str]:
    """Explain every exit status."""
    for status in Exit:
        yield from item(bold(str(int(status))), status.meaning)


# The page of losses -----------------------------------------------------------------------------


def catalogue_page(commands: Iterable[Command]) -> str:
    """Explain every loss, by family."""
    lines = title("lossctl-losses", 7, "the losses of lossctl: formulas, roles and parameters")
    lines += section("Description", _how_to_read())
    for family, losses in catalogue.families().items():
        lines += section(family, [*paragraphs([_family_summary(losses)]), *_family(losses)])
    return _joined([*lines, *see_also(*((command.page, 1) for command in commands))])


def _how_to_read() -> Iterator[str]:
    yield from paragraphs([SPECS, ROLES])
    for symbol, meaning in SYMBOLS:
        yield from item(bold(symbol), meaning)
    yield from paragraphs([EXAMPLES])


def _family_summary(losses: list[Loss]) -> str:
    module = sys.modules[losses[0].kernel.__module__]
    return (module.__doc__ or "").split("\n\n", maxsplit=1)[0]


def _family(losses: Iterable[Loss]) -> Iterator[str]:
    for loss in losses:
        first, *more = catalogue.plain(loss.description).split("\n\n")
        yield f".SS {escaped(loss.name)}"
        yield escaped(first)
        yield from (".PP", ".RS 4", bold(loss.formula), ".RE")
        yield from paragraphs(more)
        yield from _roles_and_parameters(loss)
        for number, (name, text) in enumerate(_facts(loss)):
            yield from item(escaped(name), text, indent=18)
            if not number:
                yield ".PD 0"
        yield ".PD"


def _roles_and_parameters(loss: Loss) -> Iterator[str]:
    for role in loss.roles:
        absent = "" if role.default is None else f"; {role.default:g} where there is none"
        tag = f"role {bold(role.name)} {escaped(catalogue.shape(role))}"
        yield from item(tag, f"{role.domain.text}{absent}")
    for parameter in loss.parameters:
        tag = f"parameter {bold(parameter.name)}={escaped(parameter.show(parameter.default))}"
        yield from item(tag, f"{parameter.range}: {parameter.text}")


def _facts(loss: Loss) -> Iterator[tuple[str, str]]:
    if loss.direction == "zero_is_best":
        yield "best value", "0, from either side"
    if loss.populations:
        yield "two files", f"hold the {' and the '.join(loss.populations)} rows"
    by = ", ".join(loss.with_respect_to)
    yield "gradient", f"by {by}" if by else "none: the loss moves in steps"
    if loss.aliases:
        yield "other names", ", ".join(loss.aliases)
    for library, name in loss.equivalents.items():
        yield f"in {library}", name
    yield "reference", loss.reference
    yield "example", catalogue.example(loss)


# README -----------------------------------------------------------------------------------------


def with_generated_parts(readme: str) -> str:
    """Replace what stands between the markers of each generated part."""
    parts = {"losses": readme_losses(), "exit statuses": readme_statuses()}
    for name, lines in parts.items():
        start, end = f"<!-- {name}: generated by man/make.py -->\n", f"<!-- end of {name} -->\n"
        before, found_start, rest = readme.partition(start)
        _, found_end, after = rest.partition(end)
        if not (found_start and found_end):
            raise SystemExit(f"README.md lacks the markers {start.strip()} and {end.strip()}")
        readme = "".join([before, start, "\n", *(f"{line}\n" for line in lines), "\n", end, after])
    return readme


def readme_losses() -> Iterator[str]:
    """Give the table of losses."""
    yield from _markdown_row("family", "loss", "what it measures", "roles", "also in")
    yield "| --- | --- | --- | --- | --- |"
    for family, losses in catalogue.families().items():
        for loss in losses:
            yield from _markdown_row(
                family if loss is losses[0] else "",
                f"`{Spec(loss, loss.defaults()).full}`",
                catalogue.plain(loss.summary),
                ", ".join(role.name for role in loss.roles),
                ", ".join(loss.equivalents),
            )


def readme_statuses() -> Iterator[str]:
    """Give the table of exit statuses."""
    yield from _markdown_row("status", "meaning")
    yield "| ---: | --- |"
    for status in Exit:
        yield from _markdown_row(str(int(status)), status.meaning)


def _markdown_row(*cells: str) -> Iterator[str]:
    escaped_cells = (cell.replace("|", "\\|") for cell in cells)
    yield f"| {' | '.join(escaped_cells)} |"


# Files ------------------------------------------------------------------------------------------


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def generate(root: Path = ROOT) -> dict[Path, str]:
    """Give every generated file, by its path from the root, as it should be."""
    program = read_commands()
    commands = (program, *program.commands)
    pages = {
        Path(f"man/man1/{command.page}.1"): command_page(command, commands) for command in commands
    }
    pages[Path("man/man7/lossctl-losses.7")] = catalogue_page(commands)
    readme = (root / "README.md").read_text(encoding="utf-8")
    schema = json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"
    pages[Path("lossctl/schemas/config.json")] = schema
    return pages | {Path("README.md"): with_generated_parts(readme)}


def stale(root: Path = ROOT) -> list[str]:
    """Name the files that are not what they should be, pages without a command included."""
    wanted = generate(root)
    present = {path.relative_to(root) for path in (root / "man").glob("man?/*")}
    return sorted(
        str(path)
        for path in wanted.keys() | present
        if path not in wanted
        or not (root / path).exists()
        or (root / path).read_text(encoding="utf-8") != wanted[path]
    )


def write(root: Path = ROOT) -> None:
    """Write what is stale and remove pages that nothing generates any more."""
    wanted = generate(root)
    for name in stale(root):
        path = root / name
        if Path(name) not in wanted:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted[Path(name)], encoding="utf-8", newline="\n")


def main() -> str | None:
    """Write the files, or name the stale ones and the command that mends them."""
    parser = argparse.ArgumentParser(description="Make the man pages and the tables of README.md.")
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args().check:
        write()
        return None
    files = stale()
    return f"out of date: {', '.join(files)}\nplease run `{COMMAND}`" if files else None


if __name__ == "__main__":
    sys.exit(main())
