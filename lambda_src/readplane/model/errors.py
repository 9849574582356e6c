"""The model's error family.

::

    ModelError
    ├── InvalidError            a body, or a record's data, breaks a rule
    ├── PoisonError             a line of the write log can't be applied (in ``change``, because it holds a change)
    └── DuplicateNameError      a name occurs twice in one JSON object (in ``exact_json``; a ``ValueError`` too)
"""


class ModelError(Exception):
    """The base of every error that the model raises by itself."""


class InvalidError(ModelError):
    """A body, or a record's data, breaks a rule.

    :param pointer: where in the JSON value, as a JSON pointer (RFC 6901); empty for the whole value.
    :param detail: one sentence in our own words that quotes no value.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.pointer = pointer
        self.detail = detail
