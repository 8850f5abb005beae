"""The broker and the database of one machine, as the fixtures start them."""

from __future__ import annotations

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from core.kafka import admin, consumer, producer
from core.settings import ClickHouse, Kafka
from core.topics import Topics, definitions


@pytest.mark.kafka
def test_the_broker_keeps_what_it_is_given(kafka: Kafka) -> None:
    topic = Topics.of(kafka).events
    sender = producer(kafka, "test")
    sender.produce(topic, key=b"stream", value=b"x" * 5_000_000)
    assert sender.flush(30) == 0
    reader = consumer(kafka, "test", "g")
    reader.subscribe([topic])
    record = reader.poll(30)
    reader.close()
    assert record is not None
    assert record.value() == b"x" * 5_000_000


@pytest.mark.kafka
def test_every_topic_of_the_design_is_there_and_no_other_test_s(kafka: Kafka) -> None:
    mine = {name for name in admin(kafka).list_topics(timeout=10).topics if name.startswith(kafka.prefix)}
    assert mine == {topic.name for topic in definitions(kafka)}


@pytest.mark.clickhouse
def test_the_server_asks_for_its_password(clickhouse: ClickHouse) -> None:
    with pytest.raises(DatabaseError, match="password is incorrect"):
        clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.http_port, username=clickhouse.user)


@pytest.mark.clickhouse
def test_without_a_login_nothing_can_be_read(clickhouse: ClickHouse) -> None:
    with pytest.raises(DatabaseError, match="Not enough privileges"):
        clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.http_port).command(
            f"CREATE DATABASE {clickhouse.database}"
        )


@pytest.mark.clickhouse
def test_the_server_stores_and_counts(clickhouse: ClickHouse) -> None:
    client = clickhouse_connect.get_client(
        host=clickhouse.host,
        port=clickhouse.http_port,
        username=clickhouse.user,
        password=clickhouse.password.get_secret_value(),
    )
    client.command(f"CREATE DATABASE {clickhouse.database}")
    client.command(f"CREATE TABLE {clickhouse.database}.t (a Int64) ENGINE = MergeTree ORDER BY a")
    client.insert(f"{clickhouse.database}.t", [[number] for number in range(1000)], column_names=["a"])
    assert client.query(f"SELECT sum(a) FROM {clickhouse.database}.t").result_rows == [(499_500,)]
    memory = client.query("SELECT value FROM system.server_settings WHERE name = 'max_server_memory_usage'")
    assert memory.result_rows == [(str(clickhouse.memory_mb * 1024**2),)]
    client.close()
