"""The documents say what the program does: what is derived is fresh, what is shown runs."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from lossctl import catalogue
from lossctl.cli.main import main
from lossctl.errors import Exit
from lossctl.losses import REGISTRY, Loss

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SET_UP = "python3 -m venv .venv && .venv/bin/pip install "
DOCUMENTS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")


def load_make(root: Path) -> ModuleType:
    """Import ``man/make.py``, which is a script and no part of the package."""
    spec = importlib.util.spec_from_file_location("man_make", root / "man" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["man_make"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


make = load_make(ROOT)


def blocks(language: str) -> list[str]:
    """Give the fenced blocks of the README in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def set_up_commands() -> list[str]:
    """Give the commands that do all the set-up on a fresh machine."""
    return [block.strip() for block in blocks("sh") if block.startswith(SET_UP)]


def run_shell(script: str, folder: Path) -> str:
    """Run a script where ``sample_data`` lies and the program is on the path; give its stdout."""
    (folder / "sample_data").symlink_to(ROOT / "sample_data")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LOSSCTL_")}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    outcome = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


# What is derived ----------------------------------------------------------------------------------


def test_generated_files_are_up_to_date() -> None:
    """The man pages and the tables of the README are those that the program gives now."""
    assert not make.stale(), f"please run `{make.COMMAND}`"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the generated files."""
    shutil.copytree(ROOT / "man", tmp_path / "man")
    shutil.copy(ROOT / "README.md", tmp_path)
    return tmp_path


def test_the_check_notices_a_changed_a_lost_and_a_left_over_page(copy: Path) -> None:
    """Writing mends what the check complains of, and nothing else."""
    make.write(copy)
    (copy / "man/man1/lossctl.1").write_text("no page\n", encoding="utf-8")
    (copy / "man/man7/lossctl-losses.7").unlink()
    (copy / "man/man1/lossctl-gone.1").touch()
    (copy / "README.md").write_text(README.replace("| Mean squared error. |", "| ? |"), "utf-8")
    assert make.stale(copy) == [
        "README.md",
        "man/man1/lossctl-gone.1",
        "man/man1/lossctl.1",
        "man/man7/lossctl-losses.7",
    ]
    make.write(copy)
    assert not make.stale(copy)


def test_the_check_says_which_files_are_stale_and_what_to_run(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script fails with the names and the command, and writes nothing."""
    (copy / "man/man1/lossctl.1").write_text("no page\n", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["make.py", "--check"])
    monkeypatch.setattr(make.stale, "__defaults__", (copy,))
    assert "man/man1/lossctl.1" in (make.main() or "")
    assert "python man/make.py" in (make.main() or "")
    assert (copy / "man/man1/lossctl.1").read_text(encoding="utf-8") == "no page\n"


def test_generated_files_do_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow terminal with colours gives the same bytes."""
    wide = make.generate()
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert make.generate() == wide


@pytest.mark.parametrize(
    ("plain", "roff"),
    [
        ("--jobs", r"\-\-jobs"),
        (".50 and .55", r"\&.50 and .55"),
        ("'p_*'", r"\[aq]p_*\[aq]"),
        ("a\\b", r"a\[rs]b"),
        ("e^2\n  `x` ~", r"e\[ha]2 \[ga]x\[ga] \[ti]"),
        ("naïve", r"na\[u00EF]ve"),
    ],
)
def test_text_reaches_the_reader_of_a_page_as_it_stands(plain: str, roff: str) -> None:
    """Nothing in a text is taken for a request of roff, and nothing becomes a typographic sign."""
    assert make.escaped(plain) == roff


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("page", sorted((ROOT / "man").glob("man?/*")), ids=lambda path: path.name)
def test_pages_are_correct_roff(page: Path) -> None:
    """All warnings on, groff has none."""
    outcome = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", "-z", str(page)],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert not outcome.stderr


# What must be there -------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, make.Command]]:
    """Give the program and all of its commands."""
    program = make.read_commands()
    yield from ((command.page, command) for command in (program, *program.commands))


def test_every_command_and_option_has_help() -> None:
    """Nothing is left without a sentence, and every command shows how it is used."""
    found = dict(commands())
    assert {"lossctl", "lossctl-eval", "lossctl-losses", "lossctl-schema"} <= found.keys()
    for name, command in found.items():
        assert command.paragraphs[0].endswith("."), name
        assert command.examples or command.commands, name
        assert all(parameter.help for parameter in command.parameters), name


def test_every_option_of_a_command_has_its_environment_variable() -> None:
    """``--chunk-rows`` is ``LOSSCTL_CHUNK_ROWS``."""
    for name, command in commands():
        for option in command.options if not command.commands else ():
            flag = option.names[-1]
            expected = "LOSSCTL_" + flag.removeprefix("--").replace("-", "_").upper()
            assert flag == "--help" or option.variable == expected, name


def test_every_loss_is_in_the_changelog() -> None:
    """A loss is no more than a rumour until its line in the changelog is written."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert not [name for name in REGISTRY if f"`{name}`" not in text]


def test_every_loss_is_in_the_readme_and_the_manual() -> None:
    """Each has a row of the table and a heading of the page."""
    page = (ROOT / "man/man7/lossctl-losses.7").read_text(encoding="utf-8")
    assert not [name for name in REGISTRY if not re.search(rf"\| `{name}[`:]", README)]
    assert not [name for name in REGISTRY if f".SS {name}\n" not in page]


def test_the_exit_statuses_of_the_readme_are_those_of_the_program() -> None:
    """Number and meaning agree with the one table of the code."""
    shown = dict(re.findall(r"^\| (\d+) \| (.+) \|$", README, re.MULTILINE))
    assert shown == {str(int(status)): status.meaning for status in Exit}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    """A link to a file of the repository names one that is there."""
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert not [target for target in targets if not (ROOT / target).exists()]


# What is shown ------------------------------------------------------------------------------------


def test_the_readme_has_two_commands_that_do_all_the_set_up() -> None:
    """One runs the main job and is the one in the picture, the other passes the tests."""
    job, tests = set_up_commands()
    assert job.startswith(f"{SET_UP}-q . && .venv/bin/lossctl eval sample_data/")
    assert "\n" not in job
    assert job.rpartition("&& .venv/bin/")[2] in README.partition("## Set up")[0]
    assert tests == f"{SET_UP}-q -e '.[dev]' && .venv/bin/python -m pytest -n auto"


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """What the README tells people to run is what guards the main branch."""
    command = set_up_commands()[1].rpartition("&& .venv/bin/")[2]
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert command in script.splitlines()
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", [b for b in blocks("sh") if not b.startswith(SET_UP)])
def test_the_commands_of_the_readme_run(block: str, tmp_path: Path) -> None:
    """Every block is a script that succeeds on the sample data."""
    assert run_shell(block, tmp_path)


@pytest.mark.parametrize("block", blocks("python"))
def test_the_python_of_the_readme_runs(block: str, tmp_path: Path) -> None:
    """Every block is a program that succeeds on the sample data."""
    (tmp_path / "block.py").write_text(block, encoding="utf-8")
    assert run_shell("python -W error block.py", tmp_path)


@pytest.mark.parametrize("block", [b for b in blocks("text") if b.startswith("$ ")])
def test_the_pictures_of_the_readme_are_true(block: str, tmp_path: Path) -> None:
    """What a block shows below its command is what the command prints."""
    command, _, shown = block.removeprefix("$ ").partition("\n")
    assert run_shell(command, tmp_path).strip() == shown.strip()


def test_the_example_of_a_loss_runs(
    loss: Loss, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What ``lossctl losses NAME`` suggests works on the sample data as it stands."""
    monkeypatch.chdir(ROOT)
    program, *arguments = shlex.split(catalogue.example(loss))
    assert program == "lossctl"
    assert main(arguments) == Exit.DONE
    assert f" {loss.name} " in capsys.readouterr().out
