"""How ClickHouse is talked to: schema, migrations, columns of messages, questions."""
