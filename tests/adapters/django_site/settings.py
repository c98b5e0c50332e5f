"""A Django site with task backends, on a database that SITE_DATABASE names."""

from __future__ import annotations

import os
from importlib.util import find_spec

from django import VERSION

LIBRARY = "django.tasks" if VERSION >= (6,) else "django_tasks"
SECRET_KEY = "of the tests"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["SITE_DATABASE"],
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
    }
}
INSTALLED_APPS = ["django_tasks_db", "streamnotify.adapters.django_tasks"]
if find_spec("django_tasks"):
    INSTALLED_APPS.insert(0, "django_tasks")
TASKS = {
    "default": {"BACKEND": "django_tasks_db.DatabaseBackend"},
    "immediate": {"BACKEND": f"{LIBRARY}.backends.immediate.ImmediateBackend"},
}
USE_TZ = True
