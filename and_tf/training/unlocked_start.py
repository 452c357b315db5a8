"""Starts TensorFlow's collectives without holding Python's global lock.

While TensorFlow waits for the other processes to connect, it holds the lock, so no thread could
notice that one of them is lost. The same function of its C interface, called through ctypes,
releases the lock. There is no public function for this.
"""

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf

LIBRARY = "libtensorflow_cc*"
FUNCTION = "TFE_EnableCollectiveOps"


@contextlib.contextmanager
def lock_released_in_start() -> Iterator[None]:
    """A block in which other threads run while TensorFlow starts its collectives.

    If this version of TensorFlow has no such function, they wait as before.
    """
    try:
        from tensorflow.python import pywrap_tfe

        locked = getattr(pywrap_tfe, FUNCTION)
        unlocked = _unlocked(ctypes.CDLL(str(_library())))
    except (ImportError, AttributeError, OSError):
        yield
        return
    setattr(pywrap_tfe, FUNCTION, unlocked)
    try:
        yield
    finally:
        setattr(pywrap_tfe, FUNCTION, locked)


def _library() -> Path:
    """The library that TensorFlow has loaded.

    Raises:
        OSError: if it has another name.
    """
    for path in Path(tf.sysconfig.get_lib()).glob(LIBRARY):
        return path
    raise OSError(f"no {LIBRARY}")


def _unlocked(library: ctypes.CDLL) -> Callable[[Any, bytes], None]:
    """A replacement that TensorFlow calls with its context, in a capsule, and a `ServerDef`.

    The latter is serialised.

    Raises:
        AttributeError: if the library lacks a function.
    """
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    enable, new = getattr(library, FUNCTION), library.TF_NewStatus
    code, message, delete = library.TF_GetCode, library.TF_Message, library.TF_DeleteStatus
    enable.restype = delete.restype = None
    enable.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    new.restype, message.restype = ctypes.c_void_p, ctypes.c_char_p
    for function in (code, message, delete):
        function.argtypes = [ctypes.c_void_p]

    def start(context: Any, server: bytes) -> None:
        status = new()
        try:
            enable(pointer(context, None), server, len(server), status)
            if found := code(status):
                kind = tf.compat.v1.errors.exception_type_from_error_code(found)
                raise kind(None, None, message(status).decode(errors="replace"))
        finally:
            delete(status)

    return start
