from __future__ import annotations

from core.settings import Query, Settings
from infra.stack.elsewhere import moved_ports, ports_of, running_though
from infra.stack.processes import query
from infra.stack.supervisor import Running


def _said(listening: set[int], *, pid: int = 7) -> list[str]:
    running = {"query": Running("query", "RUNNING", pid, 0.0, 1.0)}
    return list(moved_ports([query(Settings(query=Query(port=4004)))], running, lambda _: listening))


def test_a_service_on_another_port_is_named_with_the_setting() -> None:
    assert _said({4077}) == ["query listens on 4077, not on 4004 (SIGHTLINE_QUERY__PORT sets it)"]


def test_nothing_is_said_of_what_is_where_it_should_be_or_cannot_be_known() -> None:
    assert _said({4004, 5000}) == []
    assert _said(set()) == []
    assert _said({4077}, pid=0) == []
    assert list(moved_ports([query(Settings())], {})) == []


def test_a_process_that_is_gone_listens_nowhere() -> None:
    assert ports_of(2**22 + 1) == set()


def test_no_stack_no_sentence(tmp_path: object) -> None:
    assert running_though(Settings.model_validate({"data_dir": str(tmp_path)})) is None
