"""All settings, as one typed tree.

Read, later ones winning, from the defaults below, the TOML file named by ``SIGHTLINE_CONFIG``
(``sightline.toml`` in the working directory when it is unset) and variables such as
``SIGHTLINE_KAFKA__BOOTSTRAP``. `load` checks them once, at the start of a process.
"""

from __future__ import annotations

import os
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from core.errors import ConfigError

Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableValue = Annotated[str, Field(pattern=r"^[^\"'\n]*$")]  # as supervisord's configuration can hold it
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Section(BaseModel):
    """A part of the tree; unknown names are refused so that a typing error is seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Kafka(Section):
    """The broker and what is kept in it."""

    bootstrap: str = Field("", description="host:port list; empty: the one of the local stack")
    host: str = "127.0.0.1"
    port: Port = 9092
    advertised: str = Field(
        "", description="host:port at which clients reach the local broker; empty: where it listens"
    )
    controller_port: Port = 9093
    heap_mb: Count = Field(384, description="Java heap of the local broker, MiB")
    session_ms: Annotated[int, Field(ge=1000)] = Field(
        2500,
        description="silence after which the local broker is given up; one that was killed comes back no sooner. "
        "Longer where the machine is often so busy that threads stand still",
    )
    prefix: str = Field("sightline.", description="before every topic's and consumer group's name")
    partitions: Count = Field(4, description="of every topic whose key is a stream")
    replication: Count = 1
    security: dict[str, str] = Field(default_factory=dict, description="librdkafka security.*, sasl.*, ssl.*")
    frames_live_bytes: Count = Field(2 * 1024**3, description="bound of frames.live per partition")
    frames_batch_bytes: Count = Field(256 * 1024**2, description="unread bytes of frames.batch before ingest waits")
    max_message_bytes: Count = 16 * 1024**2

    @property
    def address(self) -> str:
        """The broker to talk to."""
        return self.bootstrap or f"{self.host}:{self.port}"


class ClickHouse(Section):
    """The store of detections, tracks and events."""

    url: str = Field("", description="http(s)://host:port; empty: the one of the local stack")
    host: str = "127.0.0.1"
    http_port: Port = 8123
    tcp_port: Port = 9000
    database: str = "sightline"
    user: str = "default"
    password: SecretStr = SecretStr("")
    cluster: str = Field("", description="name of the cluster: migrations run ON CLUSTER, tables are distributed")
    replicated: bool = Field(False, description="use replicated engines")
    memory_mb: Count = Field(1024, description="most memory of the local server, MiB")


class LanceDb(Section):
    """The store of embeddings."""

    uri: str = Field("", description="folder or object-store URI; empty: a folder of data_dir")
    index_after_rows: Count = Field(20_000, description="rows from which a vector index is built")
    keep_versions_s: Seconds = 600.0
    cache_mb: Count = Field(1024, description="of indices, that a process keeps in memory")


class Control(Section):
    """The database of streams, tasks, runs and uploads."""

    url: SecretStr = Field(SecretStr(""), description="SQLAlchemy URL; empty: SQLite in data_dir")
    stream_logs_days: Annotated[float, Field(ge=0, le=100_000)] = Field(
        30.0, description="entries of the streams' logs are removed after so many days, but for the last; 0 keeps all"
    )


class Media(Section):
    """Pictures and uploaded videos."""

    url: str = Field("", description="s3://bucket/prefix, or a folder; empty: a folder of data_dir")
    max_upload_bytes: Count = 8 * 1024**3
    upload_ttl_s: Seconds = Field(86_400.0, description="an upload that no task uses is removed after this long")


class Models(Section):
    """The zoo and the server that answers for it."""

    servers: tuple[str, ...] = Field((), description="gRPC addresses; empty: the one of the local stack")
    host: str = "127.0.0.1"
    port: Port = 8500
    dir: Path | None = Field(None, description="SavedModels; default: models in data_dir")
    detector: str = "centernet-512"
    face_detector: str = "facemesh-detection"
    face_embedder: str = "faceres"
    embedder: str = "appearance"
    deadline_s: Seconds = 30.0
    crops: Count = Field(4, description="pictures of one request for embeddings; while a large one runs cameras wait")
    threads: int = Field(0, ge=0, description="of TensorFlow in the local server; 0: one per core")
    bfloat16: Literal["auto", "on", "off"] = Field("auto", description="mixed precision where the CPU has it")

    @property
    def addresses(self) -> tuple[str, ...]:
        """Model servers to talk to."""
        return self.servers or (f"{self.host}:{self.port}",)


class Breaker(Section):
    """Circuit breaker around the model servers."""

    failure_threshold: Count = 5
    recovery_timeout: Seconds = 30.0
    half_open_max_calls: Count = 3
    success_threshold: Count = 2


class Ingest(Section):
    """Reading, sampling and publishing."""

    long_side: Annotated[int, Field(ge=64, le=7680)] = Field(960, description="frames are scaled down to this")
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] = 90
    fps: Annotated[float, Field(ge=0, le=1000)] = Field(10.0, description="default rate of an analytic")
    batch_readers: Count = Field(2, description="files read at once by one host")
    live_queue_bytes: Count = Field(32 * 1024**2, description="frames of one live stream waiting to be sent")
    connect_timeout_s: Seconds = 10.0
    read_timeout_s: Seconds = 10.0
    stall_timeout_s: Seconds = Field(60.0, description="a reader that gets no further for this long is ended")
    reader_restarts: Annotated[int, Field(ge=0)] = Field(3, description="of a reader that crashes at one place")
    reader_memory_mb: Annotated[int, Field(ge=256)] = Field(
        4096, description="most private memory of one reader, MiB; one that needs more ends, and its stream with it"
    )
    max_pixels: Count = Field(8192 * 8192, description="of one decoded frame")
    protocols: tuple[str, ...] = (
        "file",
        "http",
        "https",
        "rtsp",
        "rtsps",
        "rtmp",
        "rtmps",
        "tcp",
        "udp",
        "tls",
        "hls",
        "crypto",
        "data",
    )
    file_roots: tuple[Path, ...] = Field((), description="folders from which file: addresses may be read")
    devices: tuple[Path, ...] = Field((), description="USB cameras that may be read, such as /dev/video0")
    allow_loopback: bool = Field(False, description="addresses of this machine in stream, video and callback URLs")
    allow_private_videos: bool = Field(False, description="private ranges in video and callback URLs")


class Detect(Section):
    """Batching frames to the detector."""

    batch: Count = Field(8, description="frames of one request; best what the model server runs at once")
    in_flight: Annotated[int, Field(ge=2)] = 3
    linger_ms: Annotated[float, Field(ge=0)] = 10.0


class Analyse(Section):
    """Following objects and saying what happens."""

    snapshot_messages: Count = 200
    snapshot_s: Seconds = 1.0
    min_score: Annotated[float, Field(ge=0, le=1)] = Field(
        0.40, description="score an object must be seen with once to be believed"
    )
    view_interval_s: Annotated[float, Field(ge=0)] = Field(
        1.0, description="least media seconds between embeddings of a track"
    )


class Sink(Section):
    """Writing to the stores."""

    batch_rows: Count = 10_000
    batch_s: Seconds = Field(2.0, description="how long rows are gathered before they are written")


class DeadLetters(Section):
    """How many records a stage may put aside before it stops instead."""

    in_a_row: Count = Field(100, description="dead letters without a record between that succeeds")
    per_minute: Count = Field(1000, description="dead letters of one process within a minute")


class Notify(Section):
    """Callbacks of events, of streams' states and of finished tasks."""

    delivery_s: Seconds = Field(60.0, description="a callback whose receiver takes nothing for so long is given up")
    longest_s: Seconds = Field(300.0, description="a callback that waits for so long is given up in any case")
    attempts: Count = Field(10, description="of one callback")
    at_once: Count = Field(8, description="callbacks under way to one receiver")
    waiting: Count = Field(8000, description="unfinished callbacks of one receiver; one more is given up at once")
    profile_s: Seconds = Field(5.0, description="a stream's callbacks are looked up again after so long")
    telegram_url: str = Field("https://api.telegram.org", description="where Telegram's bots are asked")


class Query(Section):
    """The HTTP service."""

    host: str = "127.0.0.1"
    port: Port = 4004
    workers: Count = 1
    auth: bool = Field(False, description="ask for tokens; required on any address but loopback")
    token: SecretStr = Field(SecretStr(""), description="what the command line sends to a service that asks for tokens")
    allowed_hosts: tuple[HostName, ...] = Field(
        (), description="names beside loopback by which a service without auth may be asked, such as its proxy's"
    )
    max_body_bytes: Count = 64 * 1024**2
    max_page: Count = 1000
    timeout_s: Seconds = 60.0
    max_active_tasks: Count = 1000
    immediate_timeout_s: Seconds = Field(600.0, description="longest analysis that is answered at once")
    immediate_at_once: Count = Field(4, description="such analyses running in one worker")
    public_url: str = Field("", description="base of the URLs in answers; empty: the request's own")
    seats: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="most streams of an analytic, by its id; others may have any number"
    )
    viewers: Count = Field(200, description="who watch pictures at once, in one worker")
    viewers_per_stream: Count = Field(50, description="of one stream, in one worker")
    sockets: Count = Field(1000, description="WebSockets open at once, in one worker")
    socket_queue: Count = Field(
        1000, description="messages that wait for one WebSocket before it is closed as too slow"
    )
    first_picture_s: Seconds = Field(
        15.0, description="longest wait for a picture of a stream that begins, or stands still"
    )
    watch_token_s: Seconds = Field(300.0, description="how long a signed token for watching one stream is good")
    origins: tuple[str, ...] = Field(
        (), description="web origins, besides our own, whose pages may listen to events and read pictures; *: all"
    )
    frame_ancestors: Annotated[str, Field(pattern=r"^[^;,\r\n]*$")] = Field(
        "", description="sites that may frame the pages for watching, as in Content-Security-Policy; empty: all"
    )


class Telemetry(Section):
    """Logs and metrics."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Stack(Section):
    """The one-machine stack."""

    start_timeout_s: Seconds = 120.0
    stop_timeout_s: Seconds = 30.0
    min_free_mb: Count = Field(1024, description="free disk below which `up` refuses")
    detect_workers: Count = 1
    analyse_workers: Count = 1
    ingest_hosts: Count = 1
    environment: dict[str, dict[VariableName, VariableValue]] = Field(
        default_factory=dict,
        description="variables of single processes by name, such as a GPU for one worker; not for secrets",
    )


class Settings(BaseSettings):
    """The tree's root."""

    model_config = SettingsConfigDict(env_prefix="SIGHTLINE_", env_nested_delimiter="__", extra="forbid", frozen=True)

    data_dir: Path = Field(Path("var"), description="everything that the one-machine stack keeps")
    kafka: Kafka = Kafka()
    clickhouse: ClickHouse = ClickHouse()
    lancedb: LanceDb = LanceDb()
    control: Control = Control()
    media: Media = Media()
    models: Models = Models()
    breaker: Breaker = Breaker()
    ingest: Ingest = Ingest()
    detect: Detect = Detect()
    analyse: Analyse = Analyse()
    sink: Sink = Sink()
    dead_letters: DeadLetters = DeadLetters()
    notify: Notify = Notify()
    query: Query = Query()
    telemetry: Telemetry = Telemetry()
    stack: Stack = Stack()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then the TOML file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=config_file())

    @model_validator(mode="after")
    def _auth_beyond_loopback(self) -> Settings:
        if self.query.host not in LOOPBACK and not self.query.auth:
            raise ValueError(
                f"query.host {self.query.host} is reachable from other machines: set query.auth = true, "
                "or bind to 127.0.0.1"
            )
        return self

    @property
    def models_dir(self) -> Path:
        """Where SavedModels are kept."""
        return self.models.dir or self.data_dir / "models"

    @property
    def lancedb_uri(self) -> str:
        """Folder or object store of the embeddings."""
        return self.lancedb.uri or str(self.data_dir / "lancedb")

    @property
    def media_url(self) -> str:
        """Folder or object store of pictures and uploads."""
        return self.media.url or str(self.data_dir / "media")

    @property
    def control_url(self) -> str:
        """SQLAlchemy URL of the control database, secrets included."""
        return self.control.url.get_secret_value() or f"sqlite:///{self.data_dir / 'control.db'}"

    @property
    def clickhouse_url(self) -> str:
        """HTTP address of ClickHouse."""
        return self.clickhouse.url or f"http://{self.clickhouse.host}:{self.clickhouse.http_port}"


def config_file() -> Path | None:
    """The TOML file that is read; None when there is none. Raises ConfigError."""
    named = os.environ.get("SIGHTLINE_CONFIG")
    path = Path(named or "sightline.toml")
    if path.is_file():
        return path
    if named:
        raise ConfigError(f"SIGHTLINE_CONFIG names {named}, which is no file")
    return None


@lru_cache(maxsize=1)
def load() -> Settings:
    """The settings of this process. Raises ConfigError with one line per wrong value."""
    known = {f"SIGHTLINE_{name}".upper() for name in Settings.model_fields} | {"SIGHTLINE_CONFIG", "SIGHTLINE_SHARED"}
    for name in os.environ:
        if name.startswith("SIGHTLINE_") and name.split("__")[0] not in known:
            raise ConfigError(f"{name} is no setting; `sightline config` lists them all")
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in e['loc']) or 'settings'}: {e['msg']}" for e in error.errors()]
        raise ConfigError("; ".join(lines)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{config_file()}: {error}") from error


def masked(settings: Settings) -> dict[str, Any]:
    """The tree as JSON values, secrets as ``**********``."""
    tree: dict[str, Any] = settings.model_dump(mode="json")
    tree["kafka"]["security"] = {
        name: "**********" if any(word in name for word in ("password", "key", "secret")) else value
        for name, value in tree["kafka"]["security"].items()
    }
    return tree
