"""The local server's configuration: one user, one address, one memory budget."""

from __future__ import annotations

import hashlib
from pathlib import Path
from xml.sax.saxutils import escape

from core.errors import ConfigError
from core.settings import ClickHouse, Settings

KEEP_ALIVE_S = 30
OWN = "default"
ALL = "<access_management>1</access_management>"
ITS_QUERY = "<grants><query>GRANT SYSTEM LISTEN ON *.*</query><query>GRANT SELECT ON system.numbers</query></grants>"


def write(settings: Settings) -> Path:
    """Write the configuration, readable by this user alone, and return its path.

    Raises:
        ConfigError: a password for the user `default`, as whom the library runs its own query.
    """
    root = (settings.data_dir / "clickhouse").absolute()
    (root / "data").mkdir(parents=True, exist_ok=True)
    path = root / "config.xml"
    path.touch(mode=0o600)
    path.write_text(text(settings.clickhouse, root / "data", path))
    return path


def text(clickhouse: ClickHouse, data: Path, path: Path) -> str:
    """The configuration at `path`, for the library and for a server's binary; passwords are kept as hashes."""
    memory = clickhouse.memory_mb * 1024**2
    return f"""<clickhouse>
  <path>{escape(str(data))}/</path>
  <tmp_path>{escape(str(data / "tmp"))}/</tmp_path>
  <listen_host>{escape(clickhouse.host)}</listen_host>
  <http_port>{clickhouse.http_port}</http_port>
  <tcp_port>{clickhouse.tcp_port}</tcp_port>
  <users_config>{escape(str(path))}</users_config>
  <max_server_memory_usage>{memory}</max_server_memory_usage>
  <mark_cache_size>{memory // 16}</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <index_mark_cache_size>{memory // 64}</index_mark_cache_size>
  <max_concurrent_queries>100</max_concurrent_queries>
  <keep_alive_timeout>{KEEP_ALIVE_S}</keep_alive_timeout>
  <background_pool_size>4</background_pool_size>
  <background_schedule_pool_size>16</background_schedule_pool_size>
  <users>{users(clickhouse)}
  </users>
  <profiles><default>
    <max_memory_usage>{memory * 3 // 4}</max_memory_usage>
    <final>1</final>
    <do_not_merge_across_partitions_select_final>1</do_not_merge_across_partitions_select_final>
  </default></profiles>
  <quotas><default/></quotas>
</clickhouse>
"""


def users(clickhouse: ClickHouse) -> str:
    """The user of the settings, and `default`, as whom the library runs its own query without a password."""
    password = clickhouse.password.get_secret_value()
    if clickhouse.user == OWN:
        if password:
            raise ConfigError("clickhouse.password is set and clickhouse.user is `default`: give the user another name")
        return _user(OWN, "", ALL)
    return _user(OWN, "", ITS_QUERY) + _user(clickhouse.user, password, ALL)


def _user(name: str, password: str, rights: str) -> str:
    digest = hashlib.sha256(password.encode()).hexdigest()
    secret = f"<password_sha256_hex>{digest}</password_sha256_hex>" if password else "<password/>"
    return f"""
    <{name}>
      {secret}
      <networks><ip>::1</ip><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
      {rights}
    </{name}>"""
