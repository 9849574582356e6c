"""docs/failures.md names tests and runbooks that exist, and each runbook has the same parts."""

import ast
import inspect
import re
from functools import cache
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name

from ops.cli.main import main
from ops.cli.sources import describe_state
from ops.console import ROOT

RUNBOOKS = sorted((ROOT / "docs/runbooks").glob("*.md"))
FAILURES = (ROOT / "docs/failures.md").read_text()
PARTS = ["Meaning", "Effect", "First look", "Remedy", "Over"]


@cache
def names_of_tests(path: str) -> frozenset[str]:
    """Return the names of the tests of a file of Python, or of the runs of a test file of Terraform."""
    text = (ROOT / path).read_text()
    if path.endswith(".hcl"):
        return frozenset(re.findall(r'^run "(\w+)"', text, re.M))
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def rows() -> list[list[str]]:
    """Return the cells of each row of the tables."""
    found = [line.strip("|").split(" | ") for line in FAILURES.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in found if row[0].strip() not in {"fault", "---"}]


def test_every_row_names_a_fault_its_effect_and_its_proof() -> None:
    assert len(rows()) >= 40
    for row in rows():
        assert len(row) == 6 and all(row), row
    assert len({row[0] for row in rows()}) == len(rows())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_the_test_that_proves_a_row_exists(row: list[str]) -> None:
    proof = re.fullmatch(r"`((?:terraform/)?tests/[\w/.]+)::(\w+)`", row[4])
    assert proof, row[4]
    path, name = proof.groups()
    assert name in names_of_tests(path), f"{path} has no {name}"


def test_a_test_of_the_alarms_is_no_proof_of_what_clients_see_and_of_what_is_lost() -> None:
    """Only the section about what watches is about the alarms themselves."""
    effects, _, watches = FAILURES.partition("\n## What watches\n")
    assert "test_alarms.py" in watches and "test_alarms.py" not in effects


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_an_alarm_of_a_row_leads_to_its_runbook(row: list[str]) -> None:
    links = re.findall(r"\[`([^`]+)`\]\(runbooks/([\w-]+)\.md\)", row[3])
    assert links or row[3].startswith(("none", "its partner")), row[3]
    for _, runbook in links:
        assert ROOT / f"docs/runbooks/{runbook}.md" in RUNBOOKS, runbook


def test_the_name_of_an_alarm_is_that_of_its_runbook() -> None:
    for name, runbook in re.findall(r"\[`([^`]+)`\]\(runbooks/([\w-]+)\.md\)", FAILURES):
        title = (ROOT / f"docs/runbooks/{runbook}.md").read_text().splitlines()[0]
        alarm = title.removeprefix("# `<name>-").removesuffix("`").removeprefix("<region>-")
        assert name in {alarm, alarm.replace("<store>", "database")}, f"{name}: {title}"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_fault_leads_to_each_runbook(path: Path) -> None:
    assert f"(runbooks/{path.stem}.md)" in FAILURES


def test_an_action_of_fis_has_the_form_of_one() -> None:
    actions = {action for row in rows() for action in re.findall(r"`(aws:[^`]+)`", row[5])}
    assert len(actions) >= 8
    assert all(re.fullmatch(r"aws:[a-z]+:[a-z-]+", action) for action in actions), actions


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_each_runbook_has_the_same_parts_in_the_same_order(path: Path) -> None:
    text = path.read_text()
    assert re.match(r"# `<name>-[^`]+`\n\n", text), text[:50]
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    assert parts[1::2] == PARTS
    assert all(part.strip() for part in parts[2::2]), "a part is empty"
    assert len(text) < 4000, "a runbook is read at night: shorten it"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_commands_of_a_runbook_exist(path: Path) -> None:
    for line in re.findall(r"ops/readplane ([^`\n]*)", path.read_text()):
        command: click.Command = main
        for word in line.split():
            if not isinstance(command, click.Group):
                options = {name for option in command.params for name in option.opts}
                named = set(re.findall(r"(--[a-z-]+)", line))
                assert named <= options, f"{line}: {named - options}"
                break
            assert word in command.commands, f"{line}: there is no command {word}"
            command = command.commands[word]


OPTIONS = {"query", "output", "region"}
"""The options that every command of the AWS CLI has."""

LOGS_TAIL = {"since", "filter-pattern", "follow"}
"""Options of `aws logs tail`, which the AWS CLI has in addition to the operations of the API."""


def aws_commands(text: str) -> list[str]:
    """Return the commands of the AWS CLI in a text, without the word `aws`. Commands in others stand alone."""
    commands = []
    while nested := re.search(r"\$\((aws|terraform) ([^()]*)\)", text):
        commands += [nested[2]] if nested[1] == "aws" else []
        text = text.replace(nested[0], "…")
    return commands + re.findall(r"\baws ([a-z][^`\n]*)", text)


@cache
def operations(service: str) -> dict[str, set[str]]:
    """Return the options of each operation of a service, as the AWS CLI names them."""
    model = botocore.session.get_session().get_service_model(service)
    shapes = {name: model.operation_model(name).input_shape for name in model.operation_names}
    return {
        xform_name(name, "-"): {xform_name(member, "-") for member in (shape.members if shape else ())}
        for name, shape in shapes.items()
    }


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_the_commands_of_the_aws_cli_exist(path: Path) -> None:
    for command in aws_commands(path.read_text()):
        service, operation = command.split()[:2]
        options = set(re.findall(r" --([a-z-]+)", command)) - OPTIONS
        if (service, operation) == ("logs", "tail"):
            assert options <= LOGS_TAIL, command
        else:
            assert operation in operations(service), command
            assert options <= operations(service)[operation], command


OF_ONE_REGION = re.compile(r"ops/readplane\s+(?:quarantine|checkpoint|sources)\s+(?!try|check\b|move)[a-z]")
"""A command of the operator's tool that works in one Region: without --replica, in the primary one."""


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_with_a_command_of_one_region_says_to_set_the_region_first(path: Path) -> None:
    """Both Regions have functions and queues of the same names, so nobody notices a command in the wrong Region."""
    text = path.read_text()
    introduction = text.partition("## ")[0].replace("\n", " ")
    needs_region = any("--region" not in command for command in aws_commands(text)) or OF_ONE_REGION.search(text)
    assert ("[Set the Region](../operate.md#set-the-region) first." in introduction) == bool(needs_region)


def test_the_page_says_how_to_set_the_region_of_every_kind_of_command() -> None:
    section = (ROOT / "docs/operate.md").read_text().partition("### Set the Region\n")[2].partition("\n### ")[0]
    assert "AWS_REGION" in section
    commands = {
        name: any("--replica" in option.opts for command in group.commands.values() for option in command.params)
        for name, group in main.commands.items()
        if isinstance(group, click.Group)
    }
    assert {name for name, has_option in commands.items() if has_option} == set(
        re.findall(r"(?:ops/readplane |`)(quarantine|sources|checkpoint)`", section)
    )
    outputs = {output for path in RUNBOOKS for output in re.findall(r"output -raw (\w+)", path.read_text())}
    for output in outputs:
        name = output.removeprefix("replica_")
        assert f"`{name}`" in section, f"{output} is of one Region"
        assert f'output "replica_{name}" {{' in (ROOT / "terraform/outputs.tf").read_text()


def test_the_runbook_of_an_old_source_names_every_state_of_it() -> None:
    """Each state stands in the docstring's table, in back quotes if it has variants or a number."""
    states = re.findall(r"^\| (?:is|has) .+ \| (.+) \|$", inspect.getdoc(describe_state) or "", re.M)
    assert len(states) == 6 and states[-1] == "fine"
    remedy = (ROOT / "docs/runbooks/stale.md").read_text().partition("## Remedy")[2]
    for state in states[:-1]:
        (name, *_) = re.findall("`([^`]+)`", state) or [state]
        assert f"`{name}`" in remedy, name


def test_the_table_of_alarms_and_the_runbooks_fit_together() -> None:
    """docs/operate.md has a row for each alarm. tests/unit/alarms compares the table with what Terraform plans."""
    row = re.compile(r"^\| `<name>-([^`]+)` \| [^|]+ \| ([^|]+) \| \[([\w-]+)\]\(runbooks/(\3)\.md\) \|$", re.M)
    text = (ROOT / "docs/operate.md").read_text()
    found = row.findall(text)
    assert len(found) == len(re.findall(r"^\| `<name>-", text, re.M)), "a row has another form"
    for alarm, severity, runbook, _ in found:
        title, _, kind, *_ = (ROOT / f"docs/runbooks/{runbook}.md").read_text().splitlines()
        assert alarm.removeprefix("<region>-") == title[len("# `<name>-") : -1].removeprefix("<region>-")
        assert kind.startswith(f"A {severity}."), f"{alarm}: {kind}"
    composite = {"clients"}  # CloudWatch has no metric of it, and the text above the table names it
    assert {path.stem for path in RUNBOOKS} - {runbook for *_, runbook in found} == composite


CODE = "".join(path.read_text() for path in sorted((ROOT / "lambda_src/readplane").rglob("*.py")))
OF_LAMBDA = {"ERROR", "REPORT", "Task timed out"}
"""What a runbook looks for in a log although the code doesn't name it as an event."""


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_a_runbook_looks_for_events_that_the_code_writes(path: Path) -> None:
    text = path.read_text()
    for pattern in re.findall(r"--filter-pattern '([^']+)'", text):
        for event in set(re.findall(r'"([^"]+)"', pattern)) - OF_LAMBDA - {"5*"}:
            assert f'"{event}"' in CODE, event


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_no_code_line_of_a_runbook_is_left_open(path: Path) -> None:
    assert path.read_text().count("```") % 2 == 0


def slugs(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*RUNBOOKS, ROOT / "docs/failures.md", ROOT / "docs/scale.md"], ids=lambda path: path.stem
)
def test_a_link_into_a_page_leads_to_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#([\w-]+)\)", page.read_text()):
        assert anchor in slugs(page.parent / target if target else page), f"{target}#{anchor}"
