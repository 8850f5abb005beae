-- One row per event: the phase with the highest number. An event's begin never changes.
CREATE TABLE IF NOT EXISTS {{ t.local("events") }}{{ t.on_cluster }}
(
    stream_id UUID,
    begin DateTime64(3, 'UTC') CODEC(Delta, ZSTD),
    event_id UUID,
    run UInt32,
    analytic_index UInt16,
    type LowCardinality(String),
    event_type LowCardinality(String),
    phase Enum8('begin' = 0, 'update' = 1, 'end' = 2),
    number UInt32,
    seq UInt64,
    ts DateTime64(3, 'UTC'),
    begin_s Float64,
    begin_seq UInt64,
    end_ms Nullable(Int64),
    end_s Nullable(Float64),
    end_seq Nullable(UInt64),
    label LowCardinality(String),
    about_track Nullable(UInt32),
    score Float64,
    image Nullable(String),
    box Array(Float64) COMMENT 'x_min, y_min, x_max, y_max; empty: none',
    data String COMMENT 'JSON object'
)
ENGINE = {{ t.engine("ReplacingMergeTree", "number") }}
PARTITION BY toYYYYMM(begin)
ORDER BY (stream_id, begin, event_id);

{{ t.distributed("events") }};
