"""Keeps libraries that print whole configurations from burying the progress of a run."""

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def silent() -> Iterator[None]:
    """Drop what is printed inside, even if the block raises: its error is recorded instead."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Hold back what is printed inside; it is shown on stderr if the block raises."""
    held = io.StringIO()
    try:
        with redirect_stdout(held), redirect_stderr(held):
            yield
    except BaseException:
        sys.stderr.write(held.getvalue())
        raise
