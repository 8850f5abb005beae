"""The stores: ClickHouse, LanceDB, the control database, media."""
