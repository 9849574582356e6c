"""Check that the functions emit every metric that the dashboard and the alarms in Terraform name."""

import re

from ops.console import ROOT

MONITORING = ROOT / "terraform/modules/monitoring"


def test_the_code_emits_every_metric_that_an_alarm_or_a_widget_watches() -> None:
    """Without this test, nobody would notice a misspelt metric, because its alarm or widget just stays empty."""
    text = (MONITORING / "alarms.tf").read_text() + (MONITORING / "dashboard.tf").read_text()
    metrics = set(re.findall(r'metric_name\s+= "([A-Za-z]+)"', text))
    for names in re.findall(r"for metric in \[([^]]*)\]", text):
        metrics |= set(re.findall(r'"(\w+)"', names))
    code = "\n".join(path.read_text() for path in (ROOT / "lambda_src/readplane").rglob("*.py"))
    assert len(metrics) > 15
    assert not {name for name in metrics if not re.search(rf'"{name}"|\b{name}=', code)}
