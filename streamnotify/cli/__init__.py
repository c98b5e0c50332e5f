"""The streamnotify command."""
