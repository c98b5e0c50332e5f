"""The HTTP interface for programs: JSON, behind bearer tokens."""
