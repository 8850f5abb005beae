"""The one-machine Kafka broker: Apache Kafka's own jars, one KRaft node, on the system's Java."""
