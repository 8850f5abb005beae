-- One row per analysed frame; a frame that could not be analysed carries its error.
CREATE TABLE IF NOT EXISTS {{ t.local("frames") }}{{ t.on_cluster }}
(
    stream_id UUID,
    run UInt32,
    seq UInt64 CODEC(Delta, ZSTD),
    frame_index UInt64 CODEC(Delta, ZSTD),
    media_s Float64 CODEC(ZSTD),
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    width UInt32,
    height UInt32,
    model LowCardinality(String),
    model_version UInt32,
    objects UInt32,
    faces Int32 COMMENT '-1: not looked for',
    error String
)
ENGINE = {{ t.engine("ReplacingMergeTree") }}
PARTITION BY toYYYYMM(ts)
ORDER BY (stream_id, run, seq);

{{ t.distributed("frames") }};

-- One row per object or face. The time stands before the run in the key, so one stream's range of
-- time is one range of rows; it belongs to the frame, so a replay has the same key.
CREATE TABLE IF NOT EXISTS {{ t.local("detections") }}{{ t.on_cluster }}
(
    stream_id UUID,
    ts DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    run UInt32,
    seq UInt64 CODEC(Delta, ZSTD),
    kind Enum8('object' = 0, 'face' = 1),
    idx UInt32,
    frame_index UInt64 CODEC(Delta, ZSTD),
    media_s Float64 CODEC(ZSTD),
    label LowCardinality(String),
    score Float64 CODEC(ZSTD),
    x_min Float64 CODEC(ZSTD),
    y_min Float64 CODEC(ZSTD),
    x_max Float64 CODEC(ZSTD),
    y_max Float64 CODEC(ZSTD),
    landmarks Array(Float64) COMMENT 'x, y of each' CODEC(ZSTD)
)
ENGINE = {{ t.engine("ReplacingMergeTree") }}
PARTITION BY toYYYYMM(ts)
ORDER BY (stream_id, ts, run, seq, kind, idx);

{{ t.distributed("detections") }};
