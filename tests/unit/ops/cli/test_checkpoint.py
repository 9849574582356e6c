"""Test the commands `checkpoint show` and `checkpoint rewind`."""

import json

from readplane.model.timestamp import rfc3339
from tests.unit.ops.cli.support import Run, checkpoints, save_checkpoint


def test_a_checkpoint_is_shown_and_rewound_but_never_moved_forward(run: Run) -> None:
    assert run("checkpoint", "show", "products").exit_code == 1
    save_checkpoint(watermark_ms=1_767_225_600_000)
    printed = json.loads(run("checkpoint", "show", "products").output)
    assert printed["watermark"] == "2026-01-01T00:00:00.000Z" and printed["remembered"] == 0
    early, late = "2025-12-31T00:00:00Z", "2026-01-02T00:00:00+01:00"
    assert run("checkpoint", "rewind", "products", "--to", "yesterday").exit_code == 2
    assert run("checkpoint", "rewind", "products", "--to", "2025-12-31T00:00:00").exit_code == 2, "the zone is missing"
    refused = run("checkpoint", "rewind", "products", "--to", late)
    assert refused.exit_code == 1 and "earlier time only" in str(refused.exception)
    assert run("checkpoint", "rewind", "products", "--to", early, "--dry-run").exit_code == 0
    assert (saved := checkpoints().get_checkpoint("products")) and saved.watermark_ms == 1_767_225_600_000
    assert run("checkpoint", "rewind", "products", "--to", early).exit_code == 0
    assert (saved := checkpoints().get_checkpoint("products"))
    assert rfc3339(saved.watermark_ms or 0) == "2025-12-31T00:00:00.000Z"
