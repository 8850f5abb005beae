"""Numbered steps of the schema; see `warehouse.clickhouse.migration`."""
