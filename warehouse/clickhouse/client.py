"""The one way to ClickHouse: bound parameters, columns in and out, errors of our own tree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError, Error, OperationalError, StreamFailureError

from core.errors import ConfigError, FatalError, LimitExceeded, SetupError, SightlineError, StoreUnavailable
from core.settings import Settings

CONNECT_S = 5
ANSWER_S = 300
HTTPS_PORT = 8443
PASSING = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY: a replica without its Keeper
        173,  # CANNOT_ALLOCATE_MEMORY
        198,  # DNS_ERROR
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        203,  # NO_FREE_CONNECTION
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        236,  # ABORTED: the server is stopping
        241,  # MEMORY_LIMIT_EXCEEDED
        242,  # TABLE_IS_READ_ONLY
        243,  # NOT_ENOUGH_SPACE
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        285,  # TOO_FEW_LIVE_REPLICAS
        286,  # UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
        319,  # UNKNOWN_STATUS_OF_INSERT
        341,  # UNFINISHED
        394,  # QUERY_WAS_CANCELLED
        735,  # QUERY_WAS_CANCELLED_BY_CLIENT
        74,  # CANNOT_READ_FROM_FILE_DESCRIPTOR
        75,  # CANNOT_WRITE_TO_FILE_DESCRIPTOR
        76,  # CANNOT_OPEN_FILE
        999,  # KEEPER_EXCEPTION
    }
)
NO_SCHEMA = frozenset({60, 81})  # UNKNOWN_TABLE, UNKNOWN_DATABASE
REFUSED = frozenset({192, 193, 194, 516, 497})  # unknown user, wrong password, no right
TOO_LARGE = frozenset({158, 396})  # TOO_MANY_ROWS, TOO_MANY_ROWS_OR_BYTES

SESSION = {
    "final": 0,  # people who ask the server themselves have it on; our queries say where it is needed
    "async_insert": 0,
    "max_partitions_per_insert_block": 0,
    "do_not_merge_across_partitions_select_final": 1,
    "lightweight_deletes_sync": 2,
    "mutations_sync": 2,
    "insert_distributed_sync": 1,
    "distributed_product_mode": "local",
    "prefer_column_name_to_alias": 1,
}

ARROW = {"output_format_arrow_string_as_string": 1, "output_format_arrow_low_cardinality_as_dictionary": 0}


def translated(error: Exception, where: str) -> SightlineError:
    """An error of ClickHouse or of the way to it, as one of our tree."""
    code = error.code if isinstance(error, Error) else None
    text = f"ClickHouse at {where}: {str(error).strip() or type(error).__name__}"
    if code in NO_SCHEMA:
        return SetupError(f"{text}; run `sightline migrate`")
    if code in REFUSED:
        return ConfigError(text)
    if code in TOO_LARGE:
        return LimitExceeded(text)
    if code in PASSING:
        return StoreUnavailable(text)
    if isinstance(error, OSError | StreamFailureError) or (code is None and isinstance(error, OperationalError)):
        return StoreUnavailable(f"ClickHouse at {where} does not answer")  # the driver's own text holds whole URLs
    return FatalError(text)


class Client:
    """A client that threads may share. Every method raises the errors of `translated`."""

    def __init__(self, settings: Settings) -> None:
        """Connects at once, to no database in particular, so that migrations can make it."""
        at = urlsplit(settings.clickhouse_url)
        port = at.port or (HTTPS_PORT if at.scheme == "https" else settings.clickhouse.http_port)
        self.where = f"{at.hostname}:{port}"
        session: dict[str, Any] = dict(SESSION)
        if settings.clickhouse.replicated:
            session["insert_quorum"] = "auto"
        with self._errors():
            self._client = clickhouse_connect.get_client(
                host=at.hostname,
                port=port,
                secure=at.scheme == "https",
                username=settings.clickhouse.user,
                password=settings.clickhouse.password.get_secret_value(),
                database="default",
                connect_timeout=CONNECT_S,
                send_receive_timeout=ANSWER_S,
                autogenerate_session_id=False,
                query_retries=1,
                client_name="sightline",
                settings=session,
            )

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def ready(self) -> bool:
        """Whether the server answers."""
        return bool(self._client.ping())

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement without rows."""
        with self._errors():
            self._client.command(statement, parameters=dict(parameters or {}))

    def insert(self, table: str, columns: Mapping[str, Any], types: Sequence[str]) -> None:
        """Write columns of equal length as one insert, and wait until the rows can be seen.

        Args:
            types: ClickHouse's type of each column, so that no question for them goes before.
        """
        with self._errors():
            self._client.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_type_names=list(types),
                column_oriented=True,
            )

    def columns(self, query: str, parameters: Mapping[str, Any] | None = None) -> list[Sequence[Any]]:
        """All rows of a question, as its columns; an empty list when there are no rows."""
        with self._errors():
            result = self._client.query(query, parameters=dict(parameters or {}), column_oriented=True)
            return list(result.result_columns)

    def arrow(self, query: str, parameters: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
        """Rows in Arrow batches as the server sends them."""
        with (
            self._errors(),
            self._client.query_arrow_stream(query, parameters=dict(parameters or {}), settings=ARROW) as stream,
        ):
            yield from stream

    def arrow_schema(self, query: str, parameters: Mapping[str, Any] | None = None) -> pa.Schema:
        """Columns of a question that gives no rows."""
        with self._errors():
            return self._client.query_arrow(query, parameters=dict(parameters or {}), settings=ARROW).schema

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (ClickHouseError, OSError) as error:
            raise translated(error, self.where) from error
