-- Versions of models are often dates and times, 202401151200, which 32 bits do not hold.
ALTER TABLE {{ t.local("frames") }}{{ t.on_cluster }} MODIFY COLUMN model_version UInt64;

{% if t.cluster %}ALTER TABLE {{ t.table("frames") }}{{ t.on_cluster }} MODIFY COLUMN model_version UInt64{% endif %};
