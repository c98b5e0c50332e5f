"""What lies in Kafka and RocksDB: public models, internal commands, state rows, topics."""
