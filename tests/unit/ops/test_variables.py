"""Test how docs/variables.md is made from the files that declare variables."""

import re
from pathlib import Path

import pytest

from ops import variables
from ops.console import CommandError
from ops.variables import Attribute

FILE = """\
# The limits of
# the stack.
#
# More for developers.

variable "limits" {
  description = <<-EOT
    What is limited, in a
    <name> | way.
    none: no limit, with a line
    that goes on.
    some: a limit.
  EOT
  type = map(object({
    rate = number # requests per second
    # How many | may come
    # at once.
    burst = optional(number, 20)
    window = optional(object({
      days  = list(string)                   # names of days
      hours = optional(list(number), [8, 9]) # full hours
    }), { days = ["mon"] }) # when the limit counts
    days = optional(list(string)) # days of the week
  }))
  default  = {}
  nullable = false

  validation {
    condition     = length(var.limits) <= 2 # not } more
    error_message = "Declare at most \\"2\\"."
  }

  validation {
    condition     = alltrue([for limit in values(var.limits) : limit.rate > 0])
    error_message = <<-EOT
      Set rate to
      more than 0. Not ${var.limits}.
    EOT
  }

  validation {
    condition = true
    error_message = join(" ", [
      "Set it,",
      "or don't.",
    ])
  }
}

variable "key" {
  description = "A key."
  type        = string
  sensitive   = true
}
"""


def read(folder: Path, text: str) -> variables.Concern:
    path = folder / "variables_limits.tf"
    path.write_text(text)
    return variables.read_file(path)


def test_a_file_gives_its_variables_with_types_defaults_and_rules(tmp_path: Path) -> None:
    concern = read(tmp_path, FILE)
    assert concern.introduction == "The limits of the stack."
    limits, key = concern.variables
    assert (limits.name, limits.type, limits.default) == ("limits", "map of objects", "{}")
    assert limits.description.splitlines()[-1] == "some: a limit."
    assert limits.rules == ['Declare at most "2".', "Set rate to more than 0.", "Set it, or don't."]
    assert (key.type, key.default, key.sensitive, key.attributes, key.rules) == ("text", None, True, [], [])


def test_preconditions_beside_the_file_are_rules_of_their_variable(tmp_path: Path) -> None:
    precondition = '  precondition {\n    condition     = local.fits\n    error_message = "Fit it."\n  }\n'
    for name in ("limits", "others"):
        (tmp_path / f"rules_{name}.tf").write_text(f'output "{name}" {{\n  value = true\n\n{precondition}}}\n')
    limits, key = read(tmp_path, FILE).variables
    assert limits.rules[-2:] == ["Set it, or don't.", "Fit it."]
    assert key.rules == []


def test_an_attribute_gets_the_comment_beside_or_above_it(tmp_path: Path) -> None:
    limits = read(tmp_path, FILE).variables[0]
    assert limits.attributes == [
        Attribute("rate", "number", None, "requests per second"),
        Attribute("burst", "number", "20", "How many | may come at once."),
        Attribute("window", "object", '{ days = ["mon"] }', "when the limit counts"),
        Attribute("window.days", "list of texts", None, "names of days"),
        Attribute("window.hours", "list of numbers", "[8, 9]", "full hours"),
        Attribute("days", "list of texts", "null", "days of the week"),
    ]


def test_an_attribute_without_comment_means_what_its_namesake_above_means(tmp_path: Path) -> None:
    limits = read(tmp_path, FILE.replace(" # days of the week", "")).variables[0]
    assert limits.attributes[-1] == Attribute("days", "list of texts", "null", "names of days")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (" # requests per second", "", "variable limits: describe the attribute rate"),
        ('  description = "A key."\n', "", "variable key: add a description"),
        ('"Declare at most \\"2\\"."', "local.text", "variable limits: write a string"),
        ("# The limits of\n# the stack.\n#\n# More for developers.\n", "", "begin the file with a comment"),
    ],
)
def test_what_a_page_would_lack_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in FILE
    with pytest.raises(CommandError, match=re.escape(message)):
        read(tmp_path, FILE.replace(old, new))


def test_the_page_is_markdown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "variables_limits.tf").write_text(FILE)
    monkeypatch.setattr(variables, "MODULE", tmp_path)
    page = variables.page().splitlines()
    assert "| [`limits`](#limits) | map of objects | `{}` | What is limited, in a \\<name> \\| way. |" in page
    assert "## Limits" in page and "### limits" in page
    assert "- `none`: no limit, with a line that goes on." in page and "- `some`: a limit." in page
    assert "| `burst` | number | `20` | How many \\| may come at once |" in page
    assert "| `rate` | number | required | Requests per second |" in page
    assert "- Set rate to more than 0." in page
    assert "Text, secret; required." in page
    assert "### tags" in page, "a variable that only the root module has"


def test_the_check_fails_until_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variables, "PAGE", tmp_path / "variables.md")
    with pytest.raises(CommandError, match="make docs"):
        variables.main(["--check"])
    assert variables.main([]) == 0
    assert variables.main(["--check"]) == 0
