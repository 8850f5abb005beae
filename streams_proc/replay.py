"""Making a stage begin again with the first record that is still kept."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from core import log
from core.errors import BrokerUnavailable
from core.kafka import admin, producer
from core.settings import Kafka
from streams_proc.host import SESSION_S
from streams_proc.origin import KafkaOrigin

TIMEOUT_S = 20.0
PATIENCE_S = 3 * SESSION_S
"""A worker that has just ended is a member for a session; one that ended while it joined, for a rebalance more."""
AGAIN_S = 0.5
_log = log.get(__name__)


def replay(kafka: Kafka, stage: str, snapshots: str | None) -> None:
    """Forget what a stage has committed, and its snapshots.

    The stage must be stopped. What it wrote before is written again, under the same ids.

    Args:
        snapshots: the topic of its state; None for a stage without.

    Raises:
        BrokerUnavailable: the broker does not answer, or the group still has members.
    """
    group = kafka.prefix + stage
    client = admin(kafka)  # kept: its answers never come once it is collected
    try:
        _delete(client, group)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
            raise BrokerUnavailable(f"group {group} cannot be forgotten; is the stage stopped? {error}") from error
    if snapshots is not None:
        _forget(kafka, snapshots, KafkaOrigin(kafka, stage))
    _log.info("begins again with the first record that is kept", stage=stage)


def _delete(client: AdminClient, group: str) -> None:
    """Delete a group, once its last members are gone. Raises KafkaException."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            for future in client.delete_consumer_groups([group]).values():
                future.result(TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.NON_EMPTY_GROUP or time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)
        else:
            return


def _forget(kafka: Kafka, topic: str, origin: KafkaOrigin) -> None:
    client = producer(kafka, "replay")
    for partition in range(kafka.partitions):
        for key in origin.living_keys(topic, partition):
            client.produce(topic, key=key, value=None, partition=partition)
    if client.flush(TIMEOUT_S):
        raise BrokerUnavailable(f"{topic} does not take the tombstones")
