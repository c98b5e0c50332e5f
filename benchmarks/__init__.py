"""Throughput, latency and state of the engine on a broker of its own; docs/performance.md says what is measured."""
