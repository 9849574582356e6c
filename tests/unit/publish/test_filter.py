"""Tests that the filter of the items stream, which is in Terraform, passes on every row that `publish` needs."""

import re

from ops.console import ROOT
from readplane.model.keys import (
    HEARTBEAT_PREFIX,
    ITEM_PREFIX,
    counted_key,
    heartbeat_key,
    item_key,
    marker_key,
    source_key,
)


def test_the_filter_names_the_prefixes_of_items_and_heartbeats_and_no_other() -> None:
    text = (ROOT / "terraform/modules/region/mappings.tf").read_text()
    prefixes = tuple(re.findall(r'prefix = "([^"]*)"', text))
    assert set(prefixes) == {ITEM_PREFIX, HEARTBEAT_PREFIX}
    item = item_key("products", "p-1", None)
    needed = [item, item_key("profiles", "me", "an-owner"), heartbeat_key("eu-west-1")]
    assert all(key.startswith(prefixes) for key in needed)
    ignored = [counted_key("log/item/heartbeat/"), source_key("shop"), marker_key(item, "an-id")]
    assert not any(key.startswith(prefixes) for key in ignored)
