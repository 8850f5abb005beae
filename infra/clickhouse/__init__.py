"""The one-machine ClickHouse: the real server, from its library, in a process of ours."""
