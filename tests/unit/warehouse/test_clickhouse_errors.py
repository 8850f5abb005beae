"""What is done with each error of ClickHouse."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    OperationalError,
    ProgrammingError,
    StreamFailureError,
)

from core.errors import ConfigError, FatalError, LimitExceeded, SetupError, StoreUnavailable
from warehouse.clickhouse.client import translated


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DatabaseError("no table", code=60), SetupError),
        (DatabaseError("no database", code=81), SetupError),
        (DatabaseError("wrong password", code=516), ConfigError),
        (DatabaseError("memory", code=241), StoreUnavailable),
        (DatabaseError("disk full", code=243), StoreUnavailable),
        (DatabaseError("too many parts", code=252), StoreUnavailable),
        (DatabaseError("no keeper", code=999), StoreUnavailable),
        (DatabaseError("too many rows", code=158), LimitExceeded),
        (DatabaseError("syntax", code=62), FatalError),
        (OperationalError("cannot connect"), StoreUnavailable),
        (StreamFailureError("broke off"), StoreUnavailable),
        (ConnectionResetError("reset"), StoreUnavailable),
        (TimeoutError(), StoreUnavailable),
        (DataError("a column is wrong"), FatalError),
        (ProgrammingError("a bug"), FatalError),
    ],
)
def test_each_error_is_of_the_tree(error: Exception, expected: type[Exception]) -> None:
    made = translated(error, "host:8123")
    assert type(made) is expected
    assert "host:8123" in str(made)
    assert str(error) in str(made) or str(made).endswith("does not answer"), "what the driver says of a connection"


def test_a_missing_schema_names_the_command() -> None:
    assert "sightline migrate" in str(translated(DatabaseError("x", code=60), "h"))
