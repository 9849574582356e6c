"""Write docs/variables.md from the files that declare the variables of the stack.

python -m ops.variables            write the page
python -m ops.variables --check    fail if the page isn't what the files say

The files are terraform/modules/settings/variables_*.tf, and terraform/variables_provider.tf for the variables that
only the root module has. Each file begins with a comment whose first paragraph says what its variables are about. In an
object type, a comment describes the attribute on its line, or else the attribute below it. An attribute without a
comment means what the attribute of the same name above it means.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ops.console import ROOT, CommandError, failures
from ops.markdown import table

MODULE = ROOT / "terraform/modules/settings"
PAGE = ROOT / "docs/variables.md"
FILES = (
    *("stack", "collections", "sources", "backends", "sign_in", "api", "write_log", "functions", "monitoring"),
    "costs",
)
"""The concerns in the page's order. A file variables_<concern>.tf that isn't listed comes last."""

_INTRODUCTION = """\
# Variables

What you can set in a stack. `terraform/` passes each variable on to `modules/readplane`, so the names
are the same in a variable file (`environments/*.tfvars`) and in a call of the module
(`examples/`). A variable that is null or not set gets its default. `terraform plan` checks the
rules, and refuses an attribute that doesn't exist.

`make docs` writes this page from `terraform/modules/settings/variables_*.tf`.
"""
_WORDS = {"string": "text", "number": "number", "bool": "true or false", "any": "anything", "object": "object"}
_TITLES = {"Api": "The API", "Provider": "AWS provider"}
_PLURALS = {"text": "texts", "number": "numbers", "true or false": "true or false", "object": "objects"}


class Attribute(NamedTuple):
    """An attribute of a variable's object type.

    name: the path from the variable, such as `quota.limit`
    default: the default as HCL; None if the attribute is required
    """

    name: str
    type: str
    default: str | None
    description: str


class Variable(NamedTuple):
    """A variable of the stack.

    default: the default as HCL; None if the variable is required
    description: paragraphs, and lines of the form `value: meaning`, which the page shows as a list
    rules: what each validation tells the user to do, and each precondition of an output about this variable
    """

    name: str
    type: str
    default: str | None
    sensitive: bool
    description: str
    attributes: list[Attribute]
    rules: list[str]

    @property
    def first_sentence(self) -> str:
        """The first sentence of the description."""
        return re.split(r"(?<=\.)\s", _unwrap(self.description))[0]


class Concern(NamedTuple):
    """The variables of one file, with the comment at its beginning."""

    path: Path
    introduction: str
    variables: list[Variable]

    @property
    def title(self) -> str:
        """What the variables are about, in a word or two."""
        title = self.path.stem.removeprefix("variables_").replace("_", " ").capitalize()
        return _TITLES.get(title, title)


def read_file(path: Path) -> Concern:
    """Return the variables that a file declares.

    Rules that are no validation stand beside the file, in rules_<variable>.tf.

    :param path: a file that `terraform fmt` has formatted, because the end of a block is found by its indentation
    :raises CommandError: if a variable has no description, or something has a form that this program doesn't know
    """
    text = path.read_text()
    comment = re.match(r"(?:#.*\n)+", text)
    if not comment:
        raise CommandError(f"{path}: begin the file with a comment that says what its variables are about.")
    introduction = _unwrap(re.sub(r"^# ?", "", comment[0], flags=re.MULTILINE).partition("\n\n")[0])
    variables = []
    for match in re.finditer(r'^variable "(\w+)" \{$\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL):
        try:
            rules = path.with_name(f"rules_{match[1]}.tf")
            variables.append(_variable(match[1], match[2], rules.read_text() if rules.exists() else ""))
        except ValueError as error:
            raise CommandError(f"{path}: variable {match[1]}: {error}") from error
    return Concern(path, introduction, variables)


def _variable(name: str, body: str, preconditions: str) -> Variable:
    """Return a variable, from the text between the braces of its block.

    :param preconditions: the text of the file with the preconditions about the variable; empty if there is none
    :raises ValueError: if something is missing or has an unknown form
    """
    rule = re.compile(r"^  (?:validation|precondition) \{$\n(.*?)^  \}$\n?", re.MULTILINE | re.DOTALL)
    matches = [*rule.finditer(body), *rule.finditer(preconditions)]
    rules = [_without_values(_text(_argument(match[1], "error_message"))) for match in matches]
    own = rule.sub("", body)
    description = _argument(own, "description")
    if not description:
        raise ValueError("add a description")
    kind, attributes = _Types(_argument(own, "type") or "any").parse()
    return Variable(
        name=name,
        type=kind,
        default=_argument(own, "default"),
        sensitive=_argument(own, "sensitive") == "true",
        description=_text(description),
        attributes=attributes,
        rules=rules,
    )


def _argument(body: str, name: str) -> str | None:
    """Return the HCL expression of an argument in a block's text. Return None if the block lacks the argument."""
    start = re.search(rf"^ +{name} *= *", body, re.MULTILINE)
    if not start:
        return None
    if heredoc := re.compile(r"<<-(\w+)\n(.*?)^ *\1$", re.MULTILINE | re.DOTALL).match(body, start.end()):
        return heredoc[0]
    position, depth = start.end(), 0
    for token in re.compile(r'"(?:\\.|[^"\\])*"|#[^\n]*|[(\[{]|[)\]}]|\n|[^"#()\[\]{}\n]+').finditer(body, position):
        depth += (token[0] in ("(", "[", "{")) - (token[0] in (")", "]", "}"))
        if token[0] == "\n" and depth == 0:
            return body[position : token.start()].strip()
    return body[position:].strip()


def _text(expression: str | None) -> str:
    """Return the text of an HCL expression: a string, a heredoc, or `join` of a separator and a list of strings.

    The lines of a heredoc stay separate.

    :raises ValueError: if the expression has another form
    """
    expression = expression or ""
    if heredoc := re.fullmatch(r"<<-(\w+)\n(.*?)^ *\1", expression, re.MULTILINE | re.DOTALL):
        return textwrap.dedent(heredoc[2]).strip()
    strings = [
        re.sub(r"\\(.)", r"\1", string[1:-1]).replace("$${", "${")
        for string in re.findall(r'"(?:\\.|[^"\\])*"', expression)
    ]
    if re.fullmatch(r'"(?:\\.|[^"\\])*"', expression):
        return strings[0]
    if expression.startswith("join("):
        return strings[0].join(strings[1:])
    raise ValueError(f"write a string, a heredoc or join(…) instead of {expression[:40]!r}")


def _without_values(text: str) -> str:
    """Return a rule's text as one line, without the sentences that contain `${…}`, whose value is unknown."""
    return " ".join(sentence for sentence in re.split(r"(?<=[.?])\s+", _unwrap(text)) if "${" not in sentence)


def _unwrap(text: str) -> str:
    return " ".join(text.split())


class _Types:
    """A parser of type expressions, comments included."""

    _TOKEN = re.compile(r'#[^\n]*|\n|"(?:\\.|[^"\\])*"|[\w.-]+|[(){}\[\],=:]')

    def __init__(self, expression: str) -> None:
        self._tokens = self._TOKEN.findall(expression)
        self._position = 0
        self._attributes: list[Attribute] = []

    def parse(self) -> tuple[str, list[Attribute]]:
        """Return the type in words, and the attributes of the objects in it.

        :raises ValueError: if an attribute has no description
        """
        words = self._type("")
        descriptions: dict[str, str] = {}
        attributes = []
        for attribute in self._attributes:
            last = attribute.name.rpartition(".")[2]
            description = attribute.description or descriptions.get(last, "")
            if not description:
                raise ValueError(f"describe the attribute {attribute.name} in a comment")
            descriptions.setdefault(last, description)
            attributes.append(attribute._replace(description=description))
        return words, attributes

    def _peek(self) -> str:
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _take(self, expected: str = "") -> str:
        token = self._peek()
        if expected and token != expected:
            raise ValueError(f"the type has {token!r} where {expected!r} was expected")
        self._position += 1
        return token

    def _type(self, path: str) -> str:
        """Read a type and return it in words. Add the attributes of objects in it to the list.

        :param path: the path of the attribute that has this type, from the variable; empty for the variable itself
        """
        name = self._take()
        if self._peek() != "(":
            return _WORDS[name]
        self._take("(")
        if name == "object":
            self._object(path)
            words = "object"
        else:
            inner = self._type(path)
            words = f"{name} of {_PLURALS.get(inner, inner)}"
        self._take(")")
        return words

    def _object(self, path: str) -> None:
        self._take("{")
        above: list[str] = []
        while True:
            token = self._take()
            if token == "}":
                return
            if token.startswith("#"):
                above.append(token.lstrip("# "))
            elif token not in ("\n", ","):
                self._attribute(f"{path}.{token}" if path else token, " ".join(above))
                above = []

    def _attribute(self, path: str, above: str) -> None:
        """Read what follows an attribute's name. Add the attribute to the list.

        :param above: the comment above the attribute
        """
        self._take("=")
        index = len(self._attributes)
        default = None
        if self._peek() == "optional":
            self._take()
            self._take("(")
            words = self._type(path)
            default = self._default()
            self._take(")")
        else:
            words = self._type(path)
        beside = ""
        if self._peek().startswith("#"):
            beside = self._take().lstrip("# ")
        self._attributes.insert(index, Attribute(path, words, default, above or beside))

    def _default(self) -> str:
        """Read what follows the type in `optional(…)`. Return it as HCL, `null` if nothing follows."""
        if self._peek() != ",":
            return "null"
        self._take(",")
        tokens: list[str] = []
        depth = 0
        while depth or self._peek() != ")":
            token = self._take()
            depth += (token in ("(", "[", "{")) - (token in (")", "]", "}"))
            if token != "\n":
                tokens.append(token)
        text = " ".join(tokens).replace(" ,", ",")
        return re.sub(r"([\[(]) | ([\])])", r"\1\2", text).replace("{ }", "{}")


def read_concerns() -> list[Concern]:
    """Return the variables of the stack, file by file in the page's order.

    :raises CommandError: if a file has a form that this program doesn't know
    """
    return [read_file(path) for path in sorted(MODULE.glob("variables_*.tf"), key=_order)]


def page() -> str:
    """Return the text of docs/variables.md.

    :raises CommandError: if a file has a form that this program doesn't know
    """
    concerns = [*read_concerns(), read_file(ROOT / "terraform/variables_provider.tf")]
    return "\n".join([_INTRODUCTION, *_summary(concerns), *(line for c in concerns for line in _section(c))]) + "\n"


def _order(path: Path) -> tuple[int, str]:
    concern = path.stem.removeprefix("variables_")
    return (FILES.index(concern) if concern in FILES else len(FILES), concern)


def _summary(concerns: list[Concern]) -> Iterator[str]:
    rows = [
        (f"[`{each.name}`](#{each.name})", each.type, _default(each.default), _escape(each.first_sentence))
        for concern in concerns
        for each in concern.variables
    ]
    yield table(("variable", "type", "default", "is"), rows, "l")
    yield ""


def _section(concern: Concern) -> Iterator[str]:
    yield f"## {concern.title}\n"
    yield f"{_wrap(_escape(concern.introduction))}\n"
    for variable in concern.variables:
        yield f"### {variable.name}\n"
        secret = ", secret" if variable.sensitive else ""
        yield f"{variable.type.capitalize()}{secret}; {_long_default(variable.default)}.\n"
        yield f"{_description(variable.description)}\n"
        if variable.attributes:
            rows = [
                (f"`{each.name}`", each.type, _default(each.default), _escape(_sentence(each.description)))
                for each in variable.attributes
            ]
            yield table(("attribute", "type", "default", "is"), rows, "l")
            yield ""
        if variable.rules:
            yield "Rules:\n"
            yield from (_wrap(_escape(rule), "- ", "  ") for rule in variable.rules)
            yield ""


def _description(text: str) -> str:
    """Return a description in Markdown: its prose, and its lines of the form `value: meaning` as a list."""
    paragraphs = re.split(r"\n(?=[\w.]+: )", text)
    prose = [_wrap(_escape(paragraphs[0]))] if not re.match(r"[\w.]+: ", paragraphs[0]) else []
    listed = paragraphs[len(prose) :]
    points = [_wrap(_escape(re.sub(r"^([\w.]+): ", r"`\1`: ", point)), "- ", "  ") for point in listed]
    return "\n\n".join([*prose, *(["\n".join(points)] if points else [])])


def _sentence(text: str) -> str:
    """Return a description with a capital first letter, and without a period if it is one sentence.

    The first letter stays as it is if the text begins with a value, such as `none, link or page`.
    """
    if not re.search(r"\.\s", text):
        text = text.removesuffix(".")
    return text[0].upper() + text[1:] if re.match(r"[a-z]+(?![\w,:.])", text) else text


def _default(default: str | None) -> str:
    return "required" if default is None else f"`{_unwrap(default)}`".replace("|", "\\|")


def _long_default(default: str | None) -> str:
    return "required" if default is None else f"default `{_unwrap(default)}`"


def _escape(text: str) -> str:
    """Return text in which Markdown finds no HTML tag and no end of a table's cell. Code between backticks stays."""
    parts = re.split(r"(`[^`]*`)", _unwrap(text))
    return "".join(part if part.startswith("`") else part.replace("<", "\\<").replace("|", "\\|") for part in parts)


def _wrap(text: str, first: str = "", rest: str = "") -> str:
    """Return text in lines of at most 100 characters.

    :param first: how the first line begins
    :param rest: how the other lines begin
    """
    return textwrap.fill(
        text, 100, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or check it. Return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.variables", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--check", action="store_true", help="fail if the page isn't what the files say")
    text = page()
    if not parser.parse_args(arguments).check:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        raise CommandError("docs/variables.md isn't what the variables' files say. Run `make docs`.")
    return 0


if __name__ == "__main__":
    with failures():
        sys.exit(main())
