"""Integrations with other task systems; each calls one ``publish``."""
