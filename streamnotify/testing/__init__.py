"""The in-memory engine: the same stations without Kafka."""
