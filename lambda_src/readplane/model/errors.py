"""The errors that the package `model` raises. All of them are subclasses of :class:`ModelError`.

::

    ModelError
    ├── InvalidError          a request's body, or the data of a back office's record, breaks a rule
    ├── PoisonError           a line of the write log can't be applied (declared in the module ``change``)
    └── DuplicateNameError    a name occurs twice in one JSON object (declared in ``exact_json``; also a ``ValueError``)
"""


class ModelError(Exception):
    """The base class of every error that the package `model` declares."""


class InvalidError(ModelError):
    """A request's body, or the data of a back office's record, breaks a rule, such as one of the collection's schema.

    :param pointer: the JSON pointer (RFC 6901) to the part that breaks the rule; empty for the whole body or record.
    :param detail: one sentence that says which rule is broken, without a value of the body or record.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.pointer = pointer
        self.detail = detail
