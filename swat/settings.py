"""All settings, read from the environment, safe unless told otherwise.

A production process needs SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL and REDIS_URL. What makes things
less safe (DEBUG, SWAT_INSECURE_HTTP, SWAT_DEMO) is off by default, and settings that would be
dangerous together are refused at start. Seconds are the unit of every duration, unless its name
says otherwise.
"""

import os
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from celery.schedules import schedule
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from scheduler.domain.permissions import Role

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent

# Everything written at run time: database, static files, logs, generated key.
DATA_DIR = Path(env.str("SWAT_DATA_DIR", default="") or BASE_DIR / "var")

SHORTEST_KEY = 50  # characters; what Django's own deployment check asks for


def key_kept_in(folder: Path) -> str:
    """Return the secret key kept in `folder`, making a random one the first time."""
    file = folder / "secret_key"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = folder / f"secret_key.{os.getpid()}"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_urlsafe(64))
        try:
            os.link(draft, file)  # one writer wins, and nobody reads half a key
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text()


# --- Safety -------------------------------------------------------------------------------------

DEBUG: bool = env.bool("DEBUG", default=False)
INSECURE_HTTP: bool = env.bool("SWAT_INSECURE_HTTP", default=False)  # plain HTTP on one machine
SWAT_DEMO: bool = env.bool("SWAT_DEMO", default=False)  # anybody signs in as the cast, by one click

SECRET_KEY: str = env.str("SECRET_KEY", default="")
if not SECRET_KEY and env.str("SWAT_DATA_DIR", default=""):
    SECRET_KEY = key_kept_in(DATA_DIR)

ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])

if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY to 50 or more random characters.")
if len(SECRET_KEY) < SHORTEST_KEY or SECRET_KEY.startswith("django-insecure-"):
    raise ImproperlyConfigured("SECRET_KEY is an example or too short: take 50 random characters.")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name the hosts: '*' lets anybody choose one.")
if DEBUG and not INSECURE_HTTP:
    raise ImproperlyConfigured("DEBUG shows source and settings: not for a site on the network.")
if SWAT_DEMO and not INSECURE_HTTP:
    raise ImproperlyConfigured("SWAT_DEMO signs anybody in: not for a site on the network.")

SECURE_SSL_REDIRECT = not INSECURE_HTTP
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # load balancers ask over plain HTTP
SECURE_HSTS_SECONDS = 0 if INSECURE_HTTP else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not INSECURE_HTTP
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
if env.bool("SWAT_BEHIND_PROXY", default=False):  # only where a proxy sets or strips this header
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# The __Host- prefix binds a cookie to HTTPS and to this one host; browsers refuse it on plain HTTP.
COOKIE_PREFIX = "" if INSECURE_HTTP else "__Host-"
SESSION_COOKIE_NAME = f"{COOKIE_PREFIX}session"
SESSION_COOKIE_SECURE = not INSECURE_HTTP
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 7 * 24 * 3600
CSRF_COOKIE_NAME = f"{COOKIE_PREFIX}csrf"
CSRF_COOKIE_SECURE = not INSECURE_HTTP
CSRF_FAILURE_VIEW = "scheduler.views.sessions.form_from_another_session"
X_FRAME_OPTIONS = "DENY"

# Where pages hear that something changed (`swat.asgi`), such as "/events/" behind one proxy; ""
# leaves that out: pages ask again every ten seconds.
EVENTS_URL: str = env.str("EVENTS_URL", default="")
_EVENTS_BEGINS = ("/", "http://" if INSECURE_HTTP else "https://", "https://")
if EVENTS_URL and not (EVENTS_URL.startswith(_EVENTS_BEGINS) and EVENTS_URL.endswith("/")):
    raise ImproperlyConfigured("EVENTS_URL must begin with / or https://, and end with /.")
_EVENTS = urlsplit(EVENTS_URL)
_EVENTS_ORIGINS = [f"{_EVENTS.scheme}://{_EVENTS.netloc}"] if _EVENTS.netloc else []

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "connect-src": [SELF, *_EVENTS_ORIGINS],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
        "base-uri": [NONE],
        "object-src": [NONE],
    },
}

# Preloading binds the whole domain for good: its owner's decision, not ours.
SILENCED_SYSTEM_CHECKS = ["security.W021"]

# --- Django -------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "scheduler",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "django_htmx",
    "template_partials.apps.SimpleAppConfig",  # its loader is listed in TEMPLATES below
    "csp",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "scheduler.views.sessions.NothingIsKeptMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "scheduler.views.signing_in.KnownBrowserMiddleware",
    "scheduler.views.sessions.SignInRequiredMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "scheduler.views.errors.ErrorPagesMiddleware",
]

TEMPLATE_LOADERS: list[Any] = [
    "django.template.loaders.filesystem.Loader",
    "django.template.loaders.app_directories.Loader",
]
if not DEBUG:
    TEMPLATE_LOADERS = [("django.template.loaders.cached.Loader", TEMPLATE_LOADERS)]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [("template_partials.loader.Loader", TEMPLATE_LOADERS)],
            "builtins": [
                "django.templatetags.static",
                "django_htmx.templatetags.django_htmx",
                "template_partials.templatetags.partials",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "swat.urls"
WSGI_APPLICATION = "swat.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "scheduler.User"
LOGIN_URL = "sign-in"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "sign-in"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# --- People -------------------------------------------------------------------------------------

# Who has one of these roles may do nothing before they have a second factor; "" asks nobody.
SWAT_SECOND_FACTOR_FOR: tuple[str, ...] = tuple(
    env.list(
        "SWAT_SECOND_FACTOR_FOR",
        default=[] if SWAT_DEMO else [Role.DEPLOYER.value, Role.RELEASE_ENGINEER.value],
    )
)
if unknown := set(SWAT_SECOND_FACTOR_FOR) - {role.value for role in Role}:
    raise ImproperlyConfigured(
        f"SWAT_SECOND_FACTOR_FOR names no role: {', '.join(sorted(unknown))}."
    )

# How many proxies of ours add to X-Forwarded-For before a request reaches us; attempts to sign in
# are counted by the address that the outermost of them saw.
SWAT_TRUSTED_PROXIES: int = env.int("SWAT_TRUSTED_PROXIES", default=0)
if env.bool("SWAT_BEHIND_PROXY", default=False) and not SWAT_TRUSTED_PROXIES:
    raise ImproperlyConfigured(
        "SWAT_BEHIND_PROXY needs SWAT_TRUSTED_PROXIES, how many proxies there are: else all people "
        "have the proxy's address, and one who guesses passwords keeps out everybody."
    )

# An OpenID Connect provider: its issuer's address, and what it knows us by; "" is none at all.
SWAT_OIDC_URL: str = env.str("SWAT_OIDC_URL", default="").rstrip("/")
SWAT_OIDC_CLIENT_ID: str = env.str("SWAT_OIDC_CLIENT_ID", default="")
SWAT_OIDC_SECRET: str = env.str("SWAT_OIDC_SECRET", default="")
SWAT_OIDC_NAME: str = env.str("SWAT_OIDC_NAME", default="") or urlsplit(SWAT_OIDC_URL).netloc
if SWAT_OIDC_URL and not (SWAT_OIDC_CLIENT_ID and SWAT_OIDC_SECRET):
    raise ImproperlyConfigured("SWAT_OIDC_URL needs SWAT_OIDC_CLIENT_ID and SWAT_OIDC_SECRET.")
if SWAT_OIDC_URL and not INSECURE_HTTP and not SWAT_OIDC_URL.startswith("https://"):
    raise ImproperlyConfigured("SWAT_OIDC_URL must begin with https://: it vouches for people.")


def oidc_id(url: str) -> str:
    """Return what a provider is called in our addresses and rows.

    It follows from the provider's address: whoever a new provider names is somebody else.
    """
    return re.sub(r"[^a-z0-9.]+", "-", url.lower().partition("://")[2]).strip("-")


def oidc_providers(url: str, client_id: str, secret: str, name: str) -> dict[str, Any]:
    """Return allauth's settings for the one provider that there may be."""
    if not url:
        return {}
    app = {
        "provider_id": oidc_id(url),
        "name": name,
        "client_id": client_id,
        "secret": secret,
        "settings": {"server_url": url, "oauth_pkce_enabled": True},
    }
    return {"openid_connect": {"APPS": [app]}}


SOCIALACCOUNT_PROVIDERS = oidc_providers(
    SWAT_OIDC_URL, SWAT_OIDC_CLIENT_ID, SWAT_OIDC_SECRET, SWAT_OIDC_NAME
)
SOCIALACCOUNT_ADAPTER = "scheduler.views.identity.IdentityAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False  # a provider may say any address about anybody
SOCIALACCOUNT_QUERY_EMAIL = True
ACCOUNT_ADAPTER = "scheduler.views.identity.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_RATE_LIMITS = (
    False  # its counts are per process; ours are in the database (services/limits)
)
MFA_ADAPTER = "scheduler.views.identity.SecondFactorAdapter"
MFA_TOTP_ISSUER = "SWAT windows"
MFA_TOTP_TOLERANCE = 1  # of 30 s to either side: telephones are a little fast or slow
MFA_ALLOW_UNVERIFIED_EMAIL = True  # nobody signs in by an address, so none has to be verified
MFA_REAUTHENTICATION_REQUIRED = False  # `just_signed_in` asks, for every way of signing in

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Per process. Nothing that must be true everywhere may be kept here; the database is for that.
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {
            "class": "swat.masking.MaskingFormatter",
            "format": "{asctime} {levelname} {name}: {message}",
            "style": "{",
        },
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "propagate": True},  # to stderr like the rest, without mail
        "django.server": {"handlers": [], "propagate": True},
        "httpx": {"level": "WARNING"},  # its INFO is one line for every request we send
        # uvicorn gives its loggers handlers of its own, before it asks for our application.
        "uvicorn": {"handlers": [], "propagate": True},
        "uvicorn.access": {"handlers": [], "propagate": True},
    },
}

# --- Database -----------------------------------------------------------------------------------


def database_from_url(url: str) -> dict[str, Any]:
    """Return Django's settings for the database at `url`, with the limits that we rely on.

    Raises:
        ImproperlyConfigured: the URL is for neither PostgreSQL nor SQLite.
    """
    if not url.startswith(("postgresql://", "postgres://", "sqlite://")):
        raise ImproperlyConfigured("DATABASE_URL must be postgresql://… or sqlite:///…")
    database: dict[str, Any] = env.db_url_config(url)
    engine = database["ENGINE"].rpartition(".")[2]
    options = database.setdefault("OPTIONS", {})
    if engine == "sqlite3":
        options.setdefault("timeout", 20)  # wait for another writer rather than fail
        # A transaction takes the write lock when it begins, so it never fails half-way for it.
        options.setdefault("transaction_mode", "IMMEDIATE")
        # Readers do not wait for the writer; what was answered survives a power cut.
        options.setdefault("init_command", "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;")
    elif engine == "postgresql":
        options.setdefault("connect_timeout", 3)
        options.setdefault(  # milliseconds: "busy, not saved" rather than a page that hangs
            "options",
            "-c lock_timeout=3000 -c statement_timeout=5000"
            " -c idle_in_transaction_session_timeout=10000",
        )
        database["CONN_MAX_AGE"] = 60
        database["CONN_HEALTH_CHECKS"] = True  # no error page for the first request after a restart
    else:
        raise ImproperlyConfigured("DATABASE_URL must be postgresql://… or sqlite:///…")
    return database


DATABASES = {
    "default": database_from_url(
        env.str("DATABASE_URL", default="") or f"sqlite:///{DATA_DIR / 'swat.sqlite3'}"
    )
}

# --- Celery -------------------------------------------------------------------------------------

REDIS_URL: str = env.str("REDIS_URL", default="") or "redis://127.0.0.1:6379/0"

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT = "swat.broker:Transport"  # a worker that outlives its Redis
CELERY_TIMEZONE = TIME_ZONE
CELERY_TASK_SERIALIZER = "json"  # a message must not be able to carry code
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True  # what happened is in the database; Redis may lose everything
CELERY_TASK_ACKS_LATE = True  # a killed worker's task is done by another: tasks are idempotent
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1  # a busy worker does not sit on tasks others could do
CELERY_TASK_SOFT_TIME_LIMIT = 210
CELERY_TASK_TIME_LIMIT = 240  # below the visibility timeout, or a task would run twice at once
CELERY_TASK_PUBLISH_RETRY = False  # a request never waits for Redis: beat delivers the event anyway
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # Redis comes back; a worker that gave up does not
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True  # they are delivered again
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10  # tasks in hand may finish before a stop
CELERY_WORKER_HIJACK_ROOT_LOGGER = False  # LOGGING above holds for workers too
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 300,  # no task may have a countdown longer than this: it would repeat
    "unacked_restore_interval": 5,  # look for a dead worker's tasks this often, …
    "unacked_restore_throttle": 1,  # … every time
    "socket_timeout": 5,  # a Redis that hangs is a Redis that is down
    "socket_connect_timeout": 1,
}
CELERY_BEAT_SCHEDULE = {
    # Each run expires when the next is due: after an outage one runs, not a hundred.
    "refresh-open-windows": {
        "task": "scheduler.tasks.refresh_open_windows",
        "schedule": schedule(60),
        "options": {"expires": 60},
    },
    "keep-the-calendar": {
        "task": "scheduler.tasks.keep_the_calendar",
        "schedule": schedule(60),
        "options": {"expires": 60},
    },
    "follow-the-train": {
        "task": "scheduler.tasks.follow_the_train",
        "schedule": schedule(60),
        "options": {"expires": 60},
    },
    "deliver-events": {
        "task": "scheduler.tasks.deliver_events",
        "schedule": schedule(10),
        "options": {"expires": 10},
    },
    "send-notifications": {
        "task": "scheduler.tasks.send_notifications",
        "schedule": schedule(15),
        "options": {"expires": 15},
    },
    "learn-names": {
        "task": "scheduler.tasks.learn_names",
        "schedule": schedule(300),
        "options": {"expires": 300},
    },
    "forget-what-has-passed": {
        "task": "scheduler.tasks.forget_what_has_passed",
        "schedule": schedule(3600),
        "options": {"expires": 3600},
    },
}

# --- Mail ---------------------------------------------------------------------------------------

# smtp+tls://user:password@host:587, consolemail://, or filemail:///absolute/folder. Without it the
# demo writes one file per mail into its data, and a site prints them: nothing leaves unasked.
_MAIL = env.email_url(
    "EMAIL_URL", default=f"filemail:///{DATA_DIR / 'mail'}" if SWAT_DEMO else "consolemail://"
)
EMAIL_BACKEND: str = _MAIL["EMAIL_BACKEND"]
EMAIL_FILE_PATH: str = _MAIL["EMAIL_FILE_PATH"]
EMAIL_HOST: str = _MAIL["EMAIL_HOST"] or "localhost"
EMAIL_PORT: int = _MAIL["EMAIL_PORT"] or 25
EMAIL_HOST_USER: str = _MAIL["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD: str = _MAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS: bool = _MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL: bool = _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10  # a mail server that hangs must not hold up a sweep
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="SWAT windows <swat@localhost>")
# Where people find this site, for links in mail, e.g. "https://swat.example.org/".
PUBLIC_URL: str = env.str("PUBLIC_URL", default="") or "{}://{}/".format(
    "http" if INSECURE_HTTP else "https", ALLOWED_HOSTS[0] if ALLOWED_HOSTS else "localhost"
)
if not PUBLIC_URL.startswith(("https://", "http://")):
    raise ImproperlyConfigured("PUBLIC_URL must begin with https:// (or http:// on one machine).")

# --- The product --------------------------------------------------------------------------------

# Where the review system answers, e.g. "https://gerrit.example.org/r/"; "" is none at all.
GERRIT_URL: str = env.str("GERRIT_URL", default="")
# Where people find it: for links, and the one host whose URLs a form accepts.
GERRIT_PUBLIC_URL: str = env.str("GERRIT_PUBLIC_URL", default="https://gerrit.wikimedia.org/r/")
# Where deployers run `scap` in a browser; "" leaves the links out.
SPIDERPIG_URL: str = env.str("SPIDERPIG_URL", default="https://spiderpig.wikimedia.org/")
# How many minutes the logs are watched after each sync before a step may end.
SWAT_WATCH_MINUTES: int = env.int("SWAT_WATCH_MINUTES", default=2)
MAIN_BRANCHES: tuple[str, ...] = tuple(env.list("MAIN_BRANCHES", default=["master", "main"]))
RELEASE_BRANCH_PREFIX: str = env.str("RELEASE_BRANCH_PREFIX", default="wmf/")
