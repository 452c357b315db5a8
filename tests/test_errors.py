import pickle

import pytest

from and_tf.errors import Argument, BrokenFile, MissingPackage, NotFound, UserError


def test_a_message_names_arguments_in_python_terms():
    error = UserError(Argument("batch_size", 128), " exceeds 60: lower it, or set ", Argument("x"))
    assert str(error) == "batch_size=128 exceeds 60: lower it, or set x"


def test_a_program_spells_the_arguments_in_its_own_way():
    error = UserError(Argument("batch_size", 128), " exceeds 60: lower ", Argument("batch_size"))
    assert error.message(lambda a: f"--{a.name}") == "--batch_size exceeds 60: lower --batch_size"


def test_braces_and_percent_signs_in_names_stay_as_they_are():
    assert str(UserError("a {folder} of 100 %s")) == "a {folder} of 100 %s"


@pytest.mark.parametrize(
    ("kind", "base"),
    [(NotFound, FileNotFoundError), (MissingPackage, ImportError), (BrokenFile, ValueError)],
)
def test_each_kind_is_what_keras_users_catch(kind, base):
    with pytest.raises(base, match="x is gone") as raised:
        raise kind("x is gone")
    assert isinstance(raised.value, UserError) and isinstance(raised.value, ValueError)


def test_an_error_survives_a_process_pool():
    error = pickle.loads(pickle.dumps(UserError(Argument("k", 3), ": lower it")))
    assert str(error) == "k=3: lower it" and error.parts[0] == Argument("k", 3)


def test_a_renamed_error_names_the_argument_that_the_caller_has():
    error = BrokenFile(Argument("data", "npz:/x"), " does not exist: mend ", Argument("data"))
    found = error.renamed({"data": "eval_data"})
    assert type(found) is BrokenFile
    assert str(found) == "eval_data='npz:/x' does not exist: mend eval_data"
