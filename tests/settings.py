"""The settings of the product, made fast and deterministic; every plain `pytest` uses them.

`make test` gives DATABASE_URL and REDIS_URL. Without them the tests run on SQLite in memory, and
what is queued goes nowhere.
"""

import os
import secrets
from pathlib import Path

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))
os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
os.environ["SWAT_INSECURE_HTTP"] = "1"
os.environ["SWAT_DEMO"] = "1"
os.environ["DEBUG"] = "0"
os.environ["ALLOWED_HOSTS"] = "testserver,localhost,127.0.0.1"

from swat.settings import *  # noqa: F403
from swat.settings import DATABASES, MIDDLEWARE

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, and only for tests

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# The live server serves static files itself; WhiteNoise would want them collected first.
MIDDLEWARE = [name for name in MIDDLEWARE if not name.startswith("whitenoise.")]

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Nothing in a test must survive a power cut.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )
    if test_file := os.environ.get("SWAT_TEST_SQLITE"):  # a file, so that two processes share it
        DATABASES["default"]["TEST"] = {"NAME": Path(test_file)}

# A thread of the live server that kept its connection would keep the database from being dropped.
DATABASES["default"]["CONN_MAX_AGE"] = 0

CELERY_TASK_ALWAYS_EAGER = False
if not os.environ.get("REDIS_URL"):
    CELERY_BROKER_URL = "memory://"
    CELERY_BROKER_TRANSPORT = "memory"

# No test reaches the network: the adapters' tests start their own server and name it.
GERRIT_URL = ""
SWAT_WATCH_MINUTES = 0  # no test waits for logs
