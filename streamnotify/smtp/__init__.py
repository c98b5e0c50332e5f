"""Bytes to a relay: session, pool, classification."""
