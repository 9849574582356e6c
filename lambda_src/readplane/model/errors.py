"""The errors that the package `model` raises. All of them are subclasses of :class:`ModelError`.

::

    ModelError
    ├── InvalidError          a request's body, or the data of a back office's record, breaks a rule
    ├── ParameterError        a query parameter of a list breaks a rule (declared in the module ``query``)
    ├── PoisonError           a line of the write log can't be applied (declared in the module ``change``)
    └── DuplicateNameError    a name occurs twice in one JSON object (declared in ``exact_json``; also a ``ValueError``)
"""

from collections.abc import Iterable, Sequence

MAX_FAULTS = 20
"""The maximum number of faults that an error lists."""

_MAX_POINTER = 1_000
"""The maximum length of a pointer, in characters. A name may have 256 KiB, and a response can't hold many of those."""


class ModelError(Exception):
    """The base class of every error that the package `model` declares."""


class Fault:
    """One rule that a JSON value breaks, and where.

    This class isn't a NamedTuple, because defining a NamedTuple adds 0.1 ms to every cold start.

    :param pointer: the JSON pointer (RFC 6901) to the part that breaks the rule; empty for the whole value.
    :param code: a stable code for programs, such as ``not_json``. If a rule of a schema is broken, the code is the
        rule's keyword in snake case, such as ``max_length``.
    :param detail: one sentence for people that says which rule is broken, without a value of the body or record.
    """

    __slots__ = ("code", "detail", "pointer")

    def __init__(self, pointer: str, code: str, detail: str) -> None:
        self.pointer = pointer
        self.code = code
        self.detail = detail

    def members(self) -> dict[str, str]:
        """Return the fault as an entry of a problem document's list ``errors``."""
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


class InvalidError(ModelError):
    """A request's body, or the data of a back office's record, breaks one or more rules.

    :param pointer: the JSON pointer (RFC 6901) of the first fault.
    :param detail: the first fault in one sentence, without a value of the body or record.
    :param code: the stable code of the first fault.
    :param more: the other faults, at most ``MAX_FAULTS - 1``.
    """

    def __init__(self, pointer: str, detail: str, code: str, more: Sequence[Fault] = ()) -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.pointer = pointer
        self.detail = detail
        self.code = code
        self.faults = (Fault(pointer, code, detail), *more)


def invalid(faults: Sequence[Fault]) -> InvalidError:
    """Return an error that lists the given faults, of which there is at least one."""
    first = faults[0]
    return InvalidError(first.pointer, first.detail, first.code, faults[1:MAX_FAULTS])


def make_pointer(path: Iterable[str | int]) -> str:
    """Return the JSON pointer (RFC 6901) of a path, or of its longest start that isn't too long.

    :param path: the names and indexes that lead from the whole value to a part of it.
    """
    pointer = ""
    for name in map(str, path):
        if len(pointer) + len(name) >= _MAX_POINTER:
            break
        pointer += "/" + name.replace("~", "~0").replace("/", "~1")
    return pointer
