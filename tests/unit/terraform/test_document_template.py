"""Check which S3 object a request for a document reads, by running the template that API Gateway runs.

The template is the one that the Terraform tests expect of module api for a document of an owner collection.
"""

import re
from urllib.parse import unquote_plus

import pytest

from ops.console import ROOT

EXPECTATIONS = (ROOT / "terraform/tests/api.tftest.hcl").read_text()
STATEMENT = re.compile(r"#set\((\S+) = (.+?)\)(?=#)|#if\((.+?)\)(?=#)|(#end)")
CONDITION = re.compile(r"\$(\w+)\.matches\('(.+?)'\)")
SUB = "4e8b1c62-0000-4000-8000-000000000001"


def template() -> str:
    """Return the template, which the Terraform test has as a list of quoted lines."""
    block = re.search(r'owner_templates = \{ "application/json" = join\("", \[\n(.*?)\n    \]\)', EXPECTATIONS, re.S)
    assert block
    return "".join(line.strip()[1:-2].replace('\\"', '"') for line in block[1].splitlines())


def run(item_id: str, sub: str = SUB) -> dict[str, str]:
    """Run the template and return the parameters of the object key that it overrides.

    :param item_id: the path parameter, as the client has sent it.
    :param sub: the user id in the caller's token.
    """
    variables: dict[str, str] = {}
    overrides: dict[str, str] = {}
    runs = [True]  # whether the current statement runs: one entry for each open #if
    text = template()
    assert "".join(match[0] for match in STATEMENT.finditer(text)) == text
    for target, value, condition, end in STATEMENT.findall(text):
        if end:
            runs.pop()
        elif condition:
            checks = CONDITION.findall(condition)
            assert " && ".join(f"${name}.matches('{pattern}')" for name, pattern in checks) == condition
            runs.append(runs[-1] and all(re.fullmatch(pattern, variables[name]) for name, pattern in checks))
        elif runs[-1] and target.startswith("$context.requestOverride.path."):
            overrides[target.removeprefix("$context.requestOverride.path.")] = variables[value[1:]]
        elif runs[-1]:
            variables[target[1:]] = evaluate(value, variables, item_id, sub)
    return overrides


def evaluate(value: str, variables: dict[str, str], item_id: str, sub: str) -> str:
    """Return the value of an expression of the template."""
    if value == "\"$input.params().path.get('item_id')\"":
        return item_id
    if value == '"$context.authorizer.claims.sub"':
        return sub
    encoded = re.fullmatch(r"\$util\.urlDecode\(\$(\w+)\)", value)
    assert encoded, value
    text = variables[encoded[1]]
    assert not re.search(r"%(?![0-9A-Fa-f]{2})|\+", text), f"AWS doesn't say how it decodes {text}"
    return unquote_plus(text)


@pytest.mark.parametrize(
    ("item_id", "decoded"),
    [
        ("apple", "apple"),
        ("a~b", "a~b"),
        ("a%7Eb", "a~b"),
        ("a%7eb", "a~b"),
        ("%61%2Db", "a-b"),
        ("a" * 256, "a" * 256),
        ("%61" * 256, "a" * 256),
    ],
)
def test_an_item_id_is_decoded_once(item_id: str, decoded: str) -> None:
    assert run(item_id) == {"item_id": decoded, "sub": SUB}


@pytest.mark.parametrize(
    "item_id",
    [
        "%2Fsecret",
        "..%2F..%2Fowner",
        "..",
        "%2E%2E",
        "a%2Fb",
        "a%00",
        "a%0A",
        "a%7Eb%",
        "a%zz",
        "a+b",
        "a%2Bb",
        "a%20b",
        "a%257Eb",
        "a%25",
        "%FF",
        "%C3%A9",
        "-",
        "-a",
        "",
        "a" * 257,
        "%61" * 257,
    ],
)
def test_a_value_that_is_no_item_id_leaves_the_key_without_one(item_id: str) -> None:
    assert run(item_id) == {}


@pytest.mark.parametrize("sub", ["", "../x", "a/b", "%61", "a" * 129])
def test_a_user_id_is_never_decoded(sub: str) -> None:
    assert run("apple", sub) == {}
