"""Embedded Kafka, demo and inbox: for a laptop, never for production."""
