-- One row per track and frame in which it was seen.
CREATE TABLE IF NOT EXISTS {{ t.local("track_points") }}{{ t.on_cluster }}
(
    stream_id UUID,
    run UInt32,
    seq UInt64 CODEC(Delta, ZSTD),
    track_id UInt32,
    kind Enum8('object' = 0, 'face' = 1),
    frame_index UInt64 CODEC(Delta, ZSTD),
    media_s Float64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    label LowCardinality(String),
    score Float64 CODEC(ZSTD),
    x_min Float64 CODEC(ZSTD),
    y_min Float64 CODEC(ZSTD),
    x_max Float64 CODEC(ZSTD),
    y_max Float64 CODEC(ZSTD),
    detection Int32 COMMENT 'position among the frame''s detections; -1: none',
    INDEX ts_range ts TYPE minmax GRANULARITY 1
)
ENGINE = {{ t.engine("ReplacingMergeTree") }}
PARTITION BY toYYYYMM(ts)
ORDER BY (stream_id, run, seq, track_id);

{{ t.distributed("track_points") }};

-- One row per track, kept by the view below. Every aggregate gives the same when a row comes twice.
CREATE TABLE IF NOT EXISTS {{ t.local("tracks") }}{{ t.on_cluster }}
(
    stream_id UUID,
    run UInt32,
    track_id UInt32,
    kind SimpleAggregateFunction(any, Enum8('object' = 0, 'face' = 1)),
    label AggregateFunction(argMax, String, Tuple(Float64, UInt64)),
    score SimpleAggregateFunction(max, Float64),
    frames AggregateFunction(groupBitmap, UInt64),
    first_ts SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_ts SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    first_s SimpleAggregateFunction(min, Float64),
    last_s SimpleAggregateFunction(max, Float64),
    first_seq SimpleAggregateFunction(min, UInt64),
    last_seq SimpleAggregateFunction(max, UInt64),
    first_index SimpleAggregateFunction(min, UInt64),
    last_index SimpleAggregateFunction(max, UInt64)
)
ENGINE = {{ t.engine("AggregatingMergeTree") }}
ORDER BY (stream_id, run, track_id);

{{ t.distributed("tracks") }};

CREATE MATERIALIZED VIEW IF NOT EXISTS {{ t.database }}.tracks_view{{ t.on_cluster }} TO {{ t.local("tracks") }} AS
SELECT
    stream_id,
    run,
    track_id,
    any(p.kind) AS kind,
    argMaxState(toString(p.label), (p.score, p.seq)) AS label,
    max(p.score) AS score,
    groupBitmapState(p.seq) AS frames,
    min(p.ts) AS first_ts,
    max(p.ts) AS last_ts,
    min(p.media_s) AS first_s,
    max(p.media_s) AS last_s,
    min(p.seq) AS first_seq,
    max(p.seq) AS last_seq,
    min(p.frame_index) AS first_index,
    max(p.frame_index) AS last_index
FROM {{ t.local("track_points") }} AS p
GROUP BY stream_id, run, track_id;

-- One row per stored picture of a track.
CREATE TABLE IF NOT EXISTS {{ t.local("views") }}{{ t.on_cluster }}
(
    stream_id UUID,
    run UInt32,
    track_id UInt32,
    view_id UUID,
    seq UInt64,
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    keyspace LowCardinality(String),
    label LowCardinality(String),
    score Float64 CODEC(ZSTD),
    quality Float64 CODEC(ZSTD),
    x_min Float64 CODEC(ZSTD),
    y_min Float64 CODEC(ZSTD),
    x_max Float64 CODEC(ZSTD),
    y_max Float64 CODEC(ZSTD),
    media_key String,
    model LowCardinality(String)
)
ENGINE = {{ t.engine("ReplacingMergeTree") }}
PARTITION BY toYYYYMM(ts)
ORDER BY (stream_id, run, track_id, view_id);

{{ t.distributed("views") }};
