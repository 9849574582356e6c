"""The dashboard and the alarms name metrics in Terraform, the functions in Python: a misspelt one would stay silent."""

import re

from ops.console import ROOT

MONITORING = ROOT / "terraform/modules/monitoring"


def test_every_metric_that_is_watched_is_counted() -> None:
    text = (MONITORING / "alarms.tf").read_text() + (MONITORING / "dashboard.tf").read_text()
    ours = set(re.findall(r'metric_name\s+= "([A-Za-z]+)"', text))
    ours |= {name for told in re.findall(r"\[for metric in \[([^]]*)\]", text) for name in re.findall(r'"(\w+)"', told)}
    ours |= set(re.findall(r'\["Readplane", "([A-Za-z]+)"', text))
    ours |= set(re.findall(r'"(\w+)"', text.partition("ours = { for name in [")[2].partition("]")[0]))
    code = "\n".join(path.read_text() for path in (ROOT / "lambda_src/readplane").rglob("*.py"))
    assert len(ours) > 15
    assert not {name for name in ours if not re.search(rf'"{name}"|\b{name}=', code)}
