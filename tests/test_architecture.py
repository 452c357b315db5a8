"""The layout: which folder may import which, where flags may be named, what lies where."""

import ast
import functools
import pathlib
import re

import pytest

import and_tf

PACKAGE = pathlib.Path(and_tf.__file__).parent

# Each folder may import those below it, and its own level.
LEVELS = [
    {"cli"},
    {"report", "collection", "export"},
    {"training"},
    {"evaluation"},
    {"methods"},
    {"bank", "search"},
    {"runs", "data", "encoders"},
    {"settings"},
    {"errors"},
]
LEVEL = {name: number for number, names in enumerate(LEVELS) for name in names}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def folder_of(path):
    return path.relative_to(PACKAGE).parts[0]


def home_of(name):
    """The module that `from and_tf import name` loads; and_tf itself for what it defines."""
    if not and_tf._HOMES.get(name):  # a subpackage, or lazy_attributes
        return f"and_tf.{name}"
    return f"and_tf.{and_tf._HOMES[name]}"


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


@functools.cache
def imported(path):
    """Modules of and_tf that a module imports anywhere but for type hints."""
    return list(_imported(parsed(path)))


def _imported(tree):
    hints = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hints:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("and_tf."):
            yield node.module
        if isinstance(node, ast.ImportFrom) and node.module == "and_tf":
            yield from (home_of(alias.name) for alias in node.names)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("and_tf."))


def test_nothing_lies_flat_in_the_package():
    flat = {path.name for path in PACKAGE.iterdir() if path.is_file()}
    assert flat == {"__init__.py", "errors.py", "py.typed"}
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    assert folders == set(LEVEL) - {"errors"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down_only(path):
    here = LEVEL[folder_of(path)]
    for name in imported(path):
        other = name.split(".")[1]
        if other in LEVEL:
            assert LEVEL[other] >= here, f"{path} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_but_the_methods_knows_a_single_method(path):
    if folder_of(path) in ("methods", "cli"):
        return
    contract = {"choice", "method", "method_model", "replicas", "rounds", "schedule"}
    for name in imported(path):
        if name.startswith("and_tf.methods."):
            assert name.split(".")[2] in contract, f"{path} imports {name}"


def test_a_public_name_counts_as_an_import_of_its_home(tmp_path):
    module = tmp_path / "module.py"
    module.write_text("from and_tf import TorchSGD, data, discover, lazy_attributes\n")
    first, *others = imported(module)
    assert first == "and_tf.training.optimizers"
    assert [name.split(".")[1] for name in others] == ["data", "search", "lazy_attributes"]


SECTIONS = [path for path in MODULES if path.parent.name == "sections" and path.stem != "__init__"]


@pytest.mark.parametrize("path", SECTIONS, ids=lambda path: path.stem)
def test_no_section_of_the_report_imports_another(path):
    assert not [name for name in imported(path) if name.startswith("and_tf.report.sections")]


def texts_of(path):
    """Texts of a module that may reach a user: all but docstrings."""
    tree = parsed(path)
    docstrings = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            docstrings.add(id(body[0].value))
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node.value


BELOW_CLI = [path for path in MODULES if folder_of(path) != "cli"]


@pytest.mark.parametrize("path", BELOW_CLI, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_below_cli_names_a_flag(path):
    texts = [re.sub(r"var\(--\w+", "", text) for text in texts_of(path)]  # of CSS
    flags = [text for text in texts if re.search(r"(?<![\w-])--[a-z][a-z_]{2,}", text)]
    allowed = [text for text in flags if re.fullmatch(r"--", text.strip())]
    assert flags == allowed


@pytest.mark.parametrize("path", BELOW_CLI, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_below_cli_takes_a_namespace_of_flags(path):
    assert "SimpleNamespace" not in path.read_text()


def test_the_choices_of_flags_are_the_keys_of_the_dicts():
    from and_tf.cli import evaluate, export, train
    from and_tf.encoders import ENCODERS
    from and_tf.evaluation.protocols import PROTOCOLS
    from and_tf.export.formats import FORMATS
    from and_tf.methods import METHODS
    from and_tf.methods.anchor_neighbourhoods.selection import RULES

    fields = train.flags().fields
    assert fields["method"].details.choices == tuple(METHODS)
    assert fields["encoder"].details.choices == (*ENCODERS, "init")
    assert fields["anchors"].details.choices == tuple(RULES)
    assert evaluate.flags().fields["classifier"].details.choices == tuple(PROTOCOLS)
    assert export.flags().fields["format"].details.choices == (*FORMATS, "all")


def test_every_public_name_can_be_imported_and_is_documented():
    for name in and_tf.__all__:
        assert getattr(and_tf, name).__doc__, name


def test_the_tests_mirror_the_package():
    tests = pathlib.Path(__file__).parent
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir()} - {"__pycache__"}
    missing = {name for name in folders if not list((tests / name).rglob("test_*.py"))}
    assert not missing


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_csv_file_is_written_with_cells_that_are_no_formulas(path):
    if path.stem != "csv_cells":
        assert not re.search(r"csv\.(Dict)?[wW]riter|to_csv|write_csv", path.read_text())


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_home_folder_is_looked_up_where_there_may_be_none(path):
    """`Path.expanduser` and `Path.home` raise without one: `runs.places.expanded` does not."""
    calls = [node.func for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    named = [ast.unparse(call) for call in calls if isinstance(call, ast.Attribute)]
    assert not [n for n in named if n.endswith((".expanduser", ".home")) and n[:8] != "os.path."]
