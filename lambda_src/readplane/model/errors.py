"""The model's error family.

::

    ModelError
    ├── InvalidError          a request's body, or the data of a back office's record, breaks a rule
    ├── PoisonError           a line of the write log can't be applied (declared in ``change``, beside ``Change``)
    └── DuplicateNameError    a name occurs twice in one JSON object (declared in ``exact_json``; a ``ValueError`` too)
"""


class ModelError(Exception):
    """The base class of every error that the model declares."""


class InvalidError(ModelError):
    """A request's body, or the data of a back office's record, breaks a rule.

    :param pointer: the JSON pointer (RFC 6901) to the part that breaks the rule; empty for the whole value.
    :param detail: one sentence in our own words that quotes no value.
    """

    def __init__(self, pointer: str, detail: str) -> None:
        super().__init__(f"{pointer}: {detail}" if pointer else detail)
        self.pointer = pointer
        self.detail = detail
