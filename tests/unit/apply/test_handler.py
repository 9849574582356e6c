from tests.unit.apply.support import EVENT, KEY, MemoryQueue, apply_with, failures, sequence
from tests.unit.support import MemoryItems, MemoryLog, change, kinesis_event


def test_batches_of_the_queue_and_of_a_shard_share_no_state() -> None:
    items, queue = MemoryItems(), MemoryQueue()
    items.fail = {"bad"}
    log = MemoryLog({KEY: [change("bad").line(), change("one").line()]})
    apply = apply_with(items, log, queue)
    assert failures(apply(kinesis_event([change("bad").line(), change("two").line()]))) == [sequence(0)]
    assert queue.retries == []
    assert failures(apply(EVENT)) == [EVENT["Records"][0]["messageId"]]
    assert failures(apply(kinesis_event([change("three").line()]))) == []
    assert set(items.by_key) >= {change("three").key} and len(queue.retries) == 1
