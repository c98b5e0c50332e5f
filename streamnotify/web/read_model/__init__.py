"""What lies on the public topics, in a SQLite file that can be asked. A copy: it may lag, or be absent."""
