"""Commands of the README and of docs/ name programs, flags and benchmarks that exist."""

import importlib
import os
import re
import shlex

import pytest
from helpers.pages import PAGES, ROOT, code_blocks, inline_code, page_name

PROGRAMS = ("train", "evaluate", "report", "export", "embed", "search", "pack")
SHELL = ("bash", "sh", "shell", "console")


def flags_of(program):
    return importlib.import_module(f"and_tf.cli.{program}").flags()


def known_flags():
    """Names of all flags of the programs and of the benchmarks."""
    names = {"help", "version", "flagfile", "config"}
    for program in PROGRAMS:
        for field in flags_of(program).fields.values():
            names |= {field.name, f"no{field.name}"} if field.kind is bool else {field.name}
    for file in (ROOT / "benchmarks").glob("*.py"):
        names |= set(re.findall(r'add_argument\(\s*"--(\w+)"', file.read_text()))
    return names


def commands(text):
    """The words of each command in the shell blocks."""
    for block in code_blocks(text, *SHELL):
        lines = re.sub(r"\\\n", " ", block.code).splitlines()
        for line in lines:
            words = shlex.split(line.removeprefix("$ "), comments=True)
            command: list[str] = []
            for word in words:
                if word in ("&&", "||", ";", "|", "do", "done", "then", "fi"):
                    yield command
                    command = []
                else:
                    command.append(word.removesuffix(";"))
            yield command


def program_of(command):
    """The program of ours that a command starts and its arguments, or None."""
    if len(command) > 1 and command[0] == "python" and command[1].endswith(".py"):
        return command[1].removesuffix(".py"), command[2:]
    if command and command[0].startswith("and-"):
        return command[0].removeprefix("and-"), command[1:]
    return None


def redirected(words):
    """Arguments up to a redirection of the output."""
    kept = []
    for word in words:
        if re.match(r"\d?>", word) or word == "&":
            break
        kept.append(word)
    return kept


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_programs_take_the_arguments_shown(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for command in commands(page.read_text()):
        if found := program_of(command):
            program, words = found
            assert (ROOT / f"{program}.py").is_file(), command
            if program not in PROGRAMS:
                continue
            # Placeholders of numbers are written $seed.
            words = [re.sub(r"\$\{?\w+\}?", "1", word) for word in redirected(words)]
            if "--help" not in words:
                flags_of(program).parse(words)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_modules_that_are_run_exist(page):
    text = page.read_text()
    for name in re.findall(r"python -m ((?:benchmarks|docs|examples|and_tf)[\w.]*)", text):
        assert (ROOT / f"{name.replace('.', os.sep)}.py").is_file(), name


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_flags_in_prose_exist(page):
    known = known_flags()
    for code in inline_code(page.read_text()):
        first = code.split()[0]
        if first in ("mkdocs", "pip", "git", "tensorboard", "mypy") or "-m pytest" in code:
            continue
        for name in re.findall(r"(?<![\w-])--(\w+)", code):
            assert name in known or name == "no", code  # --no-input of a benchmark


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_files_in_prose_exist(page):
    """Paths of the repository in inline code, such as `and_tf/methods/method.py`."""
    for code in inline_code(page.read_text()):
        if re.fullmatch(r"(and_tf|configs|tests|benchmarks|docs|examples)/[\w./-]+", code):
            path = ROOT / code
            assert (path.parent if path.stem == "NAME" else path).exists(), code
