"""Notifications to final MIME bytes."""
