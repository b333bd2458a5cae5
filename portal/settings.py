"""All configuration, and the only reader of the environment.

Without any variable set this is the embedded default: SQLite and a Valkey of our own under STEELYARD_HOME.
`STEELYARD_ENV=production` turns on what a public installation needs and refuses to start without it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import string
import tempfile
from email.utils import parseaddr
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from portal.environment import Environment, broker_at, refusing
from portal.private_folder import make_private_folder

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()
Environment.read_env(BASE_DIR / ".env", overwrite=False)

# A word that is neither would run unprotected what was meant for the public.
STEELYARD_ENV: str = env.one_of("STEELYARD_ENV", ["local", "production"], default="local")
PRODUCTION: bool = STEELYARD_ENV == "production"
DEBUG: bool = env.bool("DEBUG", default=False)
STEELYARD_HOME = Path(env.str("STEELYARD_HOME", default=str(BASE_DIR / ".steelyard"))).expanduser().resolve()
HOST: str = env.str("HOST", default="127.0.0.1")
PORT: int = env.int("PORT", default=8000)
# Where people reach this installation, for links in mails.
SITE_URL: str = env.address("SITE_URL", ["https", "http"]).rstrip("/")
# Addresses of proxies whose X-Forwarded-For and -Proto are believed; without any, the peer is the client.
FORWARDED_ALLOW_IPS: str = env.str("FORWARDED_ALLOW_IPS", default="")


# --- Secrets and hosts


def _local_secret_key() -> str:
    """A random key of this installation's own, made once and readable by its owner alone."""
    path = STEELYARD_HOME / "secret_key"
    try:
        make_private_folder(STEELYARD_HOME)
        with contextlib.suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(50))
        return path.read_text()
    except OSError:
        # `doctor` and `up` name the folder that cannot be written; importing settings must not hide their sentence.
        return secrets.token_urlsafe(50)


ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS: list[str] = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if not PRODUCTION and HOST not in {"0.0.0.0", "::"} and HOST not in ALLOWED_HOSTS:  # noqa: S104  compared, not bound
    ALLOWED_HOSTS.append(HOST)

if PRODUCTION:
    SECRET_KEY: str = env.str("SECRET_KEY", default="")
    if DEBUG:
        raise ImproperlyConfigured("DEBUG must be off when STEELYARD_ENV=production.")
    if len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 5 or SECRET_KEY.startswith("django-insecure-"):
        raise ImproperlyConfigured(
            "SECRET_KEY must be set to at least 50 random characters when STEELYARD_ENV=production. Make one with: "
            "python -c 'import secrets; print(secrets.token_urlsafe(50))'"
        )
    if not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS must name this installation's hosts (comma-separated, not *) when STEELYARD_ENV=production."
        )
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    if env.bool("TRUST_FORWARDED_PROTO", default=False):
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
else:
    SECRET_KEY = env.str("SECRET_KEY", default="") or _local_secret_key()
# Replaced keys, the newest first: what was signed with them is still good, and nothing new is signed with them.
SECRET_KEY_FALLBACKS: list[str] = env.list("SECRET_KEY_FALLBACKS", default=[])

if not SITE_URL:
    SITE_URL = f"https://{ALLOWED_HOSTS[0].lstrip('.')}" if PRODUCTION else f"http://{HOST}:{PORT}"

# What a scraper of /metrics shows as its bearer token; without one, only operators who are signed in may read it.
METRICS_TOKEN: str = env.str("METRICS_TOKEN", default="").strip()
if METRICS_TOKEN and (
    len(METRICS_TOKEN) < 32
    or len(set(METRICS_TOKEN)) < 5
    or not set(METRICS_TOKEN) <= set(string.ascii_letters + string.digits + "-._~+/=")
):
    raise ImproperlyConfigured(
        "METRICS_TOKEN must be at least 32 random characters, letters, digits and -._~+/= alone. Make one with: "
        "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
    )

# --- Applications

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "rest_framework",
    "portal.accounts",
    "portal.catalog",
    "portal.playground",
    "portal.arena",
    "portal.feedback",
    "portal.reviews",
    "portal.evidence",
    "portal.exports",
    "portal.webhooks",
    "portal.api",
    "portal.operations",
]

MIDDLEWARE = [
    "portal.operations.middleware.RequestIdMiddleware",
    "portal.operations.probes.ProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "portal.reviews.acting.ActingUserMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.operations.middleware.KnownFailureMiddleware",
]

ROOT_URLCONF = "portal.urls"
ASGI_APPLICATION = "portal.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.operations.context.page_frame",
            ],
        },
    },
]

# --- Data


def _databases() -> dict[str, Any]:
    url = env.str("DATABASE_URL", default="")
    if url:
        with refusing("DATABASE_URL", "a URL like postgres://user:password@host:5432/name"):
            database: dict[str, Any] = env.db_url_config(url)
            engine: str = database["ENGINE"]
            if not engine.endswith(("postgresql", "sqlite3")) or not database["NAME"]:
                raise ValueError(engine)
        if "postgresql" in engine:
            # A pool keeps fewer connections than there are threads.
            database.setdefault("OPTIONS", {})["pool"] = {
                "min_size": 1,
                "max_size": 8,
                "timeout": 10,
                # Its pauses between tries double; by itself it would grow them up to minutes that the server is back.
                "reconnect_timeout": 5,
            }
            # When the server was restarted, each connection of a pool would cost somebody an error page first.
            database["CONN_HEALTH_CHECKS"] = True
    else:
        database = {"NAME": STEELYARD_HOME / "steelyard.sqlite3"}
    if "postgresql" not in database.get("ENGINE", ""):
        database["ENGINE"] = "portal.sqlite_turns"
        # Opening a file anew costs more than a request's queries. Of PostgreSQL, what waits
        # gives its connection back itself (give_connection_back).
        database["CONN_MAX_AGE"] = None
        # Measured with 4 writing processes: without IMMEDIATE, read-then-write transactions are lost to SQLITE_BUSY.
        database["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    return {"default": database}


DATABASES = _databases()
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def _embedded_valkey_socket() -> Path:
    path = STEELYARD_HOME / "valkey" / "valkey.sock"
    if len(os.fsencode(path)) < 100:
        return path
    # A Unix socket's path is limited to about 107 bytes.
    digest = hashlib.sha256(os.fsencode(STEELYARD_HOME)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"steelyard-{digest}" / "valkey.sock"


EMBEDDED_VALKEY_SOCKET = _embedded_valkey_socket()
REDIS_URL: str = env.address("REDIS_URL", ["redis", "rediss", "unix"])
EMBEDDED_VALKEY: bool = not REDIS_URL
if EMBEDDED_VALKEY:
    REDIS_URL = f"unix://{EMBEDDED_VALKEY_SOCKET}?db=0"
CELERY_BROKER_URL: str = env.address("CELERY_BROKER_URL", ["redis", "rediss", "redis+socket", "amqp", "amqps"])
CELERY_BROKER_URL = broker_at(CELERY_BROKER_URL or REDIS_URL)
# A frozen server must cost seconds: without these, a publish to one blocks for 45 s and more.
REDIS_SOCKET_TIMEOUT_S = 3.0
# How long a client waits for a queue that does not answer: longer than an embedded one takes to come back.
QUEUE_PATIENCE_S = 5.0

# allauth counts sign-in attempts in the default cache and in no other.
CACHES = {
    "default": {
        "BACKEND": "portal.accounts.shared_cache.SharedCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "steelyard",
        "OPTIONS": {"timeout_s": REDIS_SOCKET_TIMEOUT_S},
    }
}

# --- Celery: see DESIGN.md §8 for why acknowledgement is early and the pool is threads

CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_STORE_ERRORS_EVEN_IF_IGNORED = False
CELERY_TASK_ACKS_LATE = False
CELERY_TASK_DEFAULT_QUEUE = "portal"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TIMEZONE = "UTC"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {
        "socket_timeout": REDIS_SOCKET_TIMEOUT_S,
        "socket_connect_timeout": REDIS_SOCKET_TIMEOUT_S,
        # What a worker took and lost, the sweep sends again. Kept in the broker too, each message costs a worker 2 ms.
        "ack_emulation": False,
    }
    if CELERY_BROKER_URL.startswith("redis")
    else {
        "confirm_publish": True,
        "connect_timeout": REDIS_SOCKET_TIMEOUT_S,
        "write_timeout": REDIS_SOCKET_TIMEOUT_S,
    }
)
CELERY_BEAT_SCHEDULE = {
    "sweep-generations": {"task": "playground.sweep_generations", "schedule": 10.0},
    "refresh-rankings": {"task": "arena.refresh_rankings", "schedule": 60.0},
    "sweep-jobs": {"task": "catalog.sweep_jobs", "schedule": 10.0},
    "forget-visitors": {"task": "playground.forget_visitors", "schedule": 3600.0},
    "forget-idempotency-keys": {"task": "api.forget_idempotency_keys", "schedule": 3600.0},
}

# --- Generations

# Entry points of the engines that a worker may build for a variant, by the variant's backend.
ENGINE_BACKENDS = {
    "transformers": "portal.playground.engines.transformers_engine",
    "openai": "portal.playground.engines.upstream_engine",
}
# Keys of upstreams by the names that variants know them by: the database holds no key.
UPSTREAM_API_KEYS: dict[str, str] = env.dict("UPSTREAM_API_KEYS", default={})
UPSTREAM_CONNECT_S: float = env.float("UPSTREAM_CONNECT_S", default=5.0)
UPSTREAM_FIRST_BYTE_S: float = env.float("UPSTREAM_FIRST_BYTE_S", default=120.0)
UPSTREAM_SILENCE_S: float = env.float("UPSTREAM_SILENCE_S", default=60.0)
# Entry points of what tells an engine's memory before it is built; a backend without one holds no weights.
ENGINE_FOOTPRINTS = {"transformers": "portal.playground.engines.transformers_footprint"}
# Entry points of what loads an adapter into its base's engine.
ENGINE_ADAPTERS = {"transformers": "portal.playground.engines.transformers_adapter"}
WORKER_MEMORY_BYTES: int = env.int("WORKER_MEMORY_BYTES", default=0)
WORKER_PINNED_VARIANTS: list[str] = env.list("WORKER_PINNED_VARIANTS", default=[])
WORKER_CONCURRENCY: int = env.int("WORKER_CONCURRENCY", default=16)
WORKER_DEVICE: str = env.str("WORKER_DEVICE", default="auto")
WORKER_THREADS: int = env.int("WORKER_THREADS", default=0) or (os.cpu_count() or 1)
GENERATION_LEASE_S: float = env.float("GENERATION_LEASE_S", default=10.0)
GENERATION_MAX_ATTEMPTS: int = env.int("GENERATION_MAX_ATTEMPTS", default=3)
GENERATION_DEADLINE_S: float = env.float("GENERATION_DEADLINE_S", default=300.0)
GENERATION_SHUTDOWN_GRACE_S: float = env.float("GENERATION_SHUTDOWN_GRACE_S", default=5.0)
GENERATION_REDISPATCH_S: float = env.float("GENERATION_REDISPATCH_S", default=10.0)
STREAM_RETENTION_S: int = env.int("STREAM_RETENTION_S", default=3600)

# --- Imports

HF_ENDPOINT: str = env.address("HF_ENDPOINT", ["https", "http"], "https://huggingface.co").rstrip("/")
HF_TOKEN: str = env.str("HF_TOKEN", default="")
HF_HUB_OFFLINE: bool = env.bool("HF_HUB_OFFLINE", default=False)
HF_TIMEOUT_S: float = env.float("HF_TIMEOUT_S", default=15.0)
# What maintainers may import from a page; the command may import everything.
IMPORT_SOURCES: list[str] = env.list("IMPORT_SOURCES", default=["hub", "upstream"])
if IMPORT_SOURCES == ["none"]:
    IMPORT_SOURCES = []
# It turned imports off in versions before.
IMPORT_SOURCES_LEFT_EMPTY: bool = env.is_left_empty("IMPORT_SOURCES")
IMPORT_FOLDER: str = env.str("IMPORT_FOLDER", default="")
IMPORT_PRIVATE_HOSTS: list[str] = env.list("IMPORT_PRIVATE_HOSTS", default=[])

# --- Webhooks

# Hosts, or host:port, that messages may go to although they are inside, or answer by http alone.
WEBHOOK_PRIVATE_HOSTS: list[str] = env.list("WEBHOOK_PRIVATE_HOSTS", default=[])
WEBHOOK_TIMEOUT_S: float = env.float("WEBHOOK_TIMEOUT_S", default=15.0)
# How long the log keeps messages that were delivered or given up.
WEBHOOK_LOG_DAYS: int = env.int("WEBHOOK_LOG_DAYS", default=30)

# Entry point of what knows how answers to a prompt were rated.
PROMPT_RATINGS = "portal.feedback.prompt_ratings.prompt_ratings"

# --- Limits: one visitor cannot take the whole machine

MAX_PROMPT_CHARACTERS: int = env.int("MAX_PROMPT_CHARACTERS", default=32_000)
MAX_SYSTEM_PROMPT_CHARACTERS: int = env.int("MAX_SYSTEM_PROMPT_CHARACTERS", default=8_000)
MAX_OUTPUT_TOKENS: int = env.int("MAX_OUTPUT_TOKENS", default=2_048)
MAX_CONCURRENT_GENERATIONS: int = env.int("MAX_CONCURRENT_GENERATIONS", default=4)
GENERATION_RATE: str = env.str("GENERATION_RATE", default="30/minute")
# What may be run in 24 hours, 0 for no limit; an account's runs include those of its API tokens.
VISITOR_RUNS_PER_DAY: int = env.int("VISITOR_RUNS_PER_DAY", default=300)
VISITOR_TOKENS_PER_DAY: int = env.int("VISITOR_TOKENS_PER_DAY", default=300_000)
ACCOUNT_RUNS_PER_DAY: int = env.int("ACCOUNT_RUNS_PER_DAY", default=5_000)
ACCOUNT_TOKENS_PER_DAY: int = env.int("ACCOUNT_TOKENS_PER_DAY", default=5_000_000)
API_TOKEN_RUNS_PER_DAY: int = env.int("API_TOKEN_RUNS_PER_DAY", default=5_000)
API_TOKEN_TOKENS_PER_DAY: int = env.int("API_TOKEN_TOKENS_PER_DAY", default=5_000_000)
# How long a deleted conversation can be restored; longer than a day, or deleting would give back a quota.
DELETED_CONVERSATION_DAYS: int = env.int("DELETED_CONVERSATION_DAYS", default=7)
# How long a visitor's conversation is kept behind its last turn once no session leads to it; 0 keeps it for good.
VISITOR_CONVERSATION_DAYS: int = env.int("VISITOR_CONVERSATION_DAYS", default=30)
BATTLE_RATE: str = env.str("BATTLE_RATE", default="30/hour")
VOTE_RATE: str = env.str("VOTE_RATE", default="60/hour")
FEEDBACK_RATE: str = env.str("FEEDBACK_RATE", default="60/minute")
# SPDX identifiers of the licences that contributors choose from; the first is the usual one.
CONTRIBUTION_LICENCES: list[str] = env.list("CONTRIBUTION_LICENCES", default=["CC0-1.0", "CC-BY-4.0"])
if not CONTRIBUTION_LICENCES or not all(
    0 < len(name) <= 60 and set(name) <= set(string.ascii_letters + string.digits + ".-+")
    for name in CONTRIBUTION_LICENCES
):
    raise ImproperlyConfigured("CONTRIBUTION_LICENCES must name at least one SPDX identifier (comma-separated).")
# Makes the contributors' pseudonyms in exports; keep it when SECRET_KEY is replaced, or every pseudonym changes.
EXPORT_SALT: str = env.str("EXPORT_SALT", default="") or SECRET_KEY
API_RATE: str = env.str("API_RATE", default="600/minute")
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

# --- Accounts

AUTH_USER_MODEL = "accounts.User"
# allauth's is a ModelBackend too; with both, each wrong password would be hashed twice.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory" if PRODUCTION else "optional"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_ADAPTER = "portal.accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {"login": "portal.accounts.forms.SignInForm", "signup": "portal.accounts.forms.SignUpForm"}
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Steelyard] "
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_MAX_EMAIL_ADDRESSES = 5
# Changing the address that resets the password takes the password.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
# Per network (ip) and per account name (key); every other limit is allauth's default. All but login_failed, which is
# told beside the form, count per minute: `too_many_attempts` tells people to wait for one.
ACCOUNT_RATE_LIMITS = {
    "signup": "10/m/ip",
    "login": "30/m/ip",
    "login_failed": "10/m/ip,5/5m/key",
    "reset_password": "10/m/ip,3/m/key",
}
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 60 * 60 * 24 * 90

with refusing("EMAIL_URL", "a URL like smtp+tls://user:password@host:587"):
    EMAIL_CONFIG = env.email_url("EMAIL_URL", default="consolemail://")
    if "smtp" in EMAIL_CONFIG["EMAIL_BACKEND"] and not EMAIL_CONFIG.get("EMAIL_HOST"):
        raise ValueError("EMAIL_HOST")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG.get("EMAIL_HOST", "")
EMAIL_PORT = EMAIL_CONFIG.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL_CONFIG.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD", "")
EMAIL_TIMEOUT = 10
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
# Of filemail:///folder, which keeps each mail as a file.
EMAIL_FILE_PATH = f"/{EMAIL_CONFIG.get('EMAIL_FILE_PATH') or ''}"
DEFAULT_FROM_EMAIL: str = env.str("DEFAULT_FROM_EMAIL", default="steelyard@localhost")
if "@" not in parseaddr(DEFAULT_FROM_EMAIL)[1]:
    raise ImproperlyConfigured("DEFAULT_FROM_EMAIL must be like you@example.org or Steelyard <you@example.org>.")

# --- API

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "portal.api.authentication.BearerTokenAuthentication",
        "portal.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "portal.api.problems.problem_response",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
KNOX_TOKEN_MODEL = "accounts.ApiToken"  # noqa: S105  a model's name
# knox's own migrations make the table of the model that ours replaces, which then refers to our users for nothing.
MIGRATION_MODULES = {"knox": None}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": None, "TOKEN_PREFIX": "sy_"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Steelyard API",
    "DESCRIPTION": "Judgements on open-weight language models, and the runs that they belong to.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {"RecordKindEnum": "portal.exports.models.RecordKind.values"},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Open, a hundred operations and as many models keep a browser busy for seconds.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none", "defaultModelsExpandDepth": 0},
    "REDOC_DIST": "SIDECAR",
    # Not drf-spectacular's own, which names enumerations: of many things each with a kind and a state.
    "POSTPROCESSING_HOOKS": ["portal.api.links.add_links"],
}

# --- Pages

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English"))]
LOCALE_PATHS = [BASE_DIR / "portal" / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# Collected for production alone; elsewhere whitenoise finds the files where they are.
STATIC_ROOT = env.str("STATIC_ROOT", default=str(BASE_DIR / "staticfiles")) if PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "portal" / "static"]
WHITENOISE_USE_FINDERS = not PRODUCTION


def _snapshot_storage() -> dict[str, Any]:
    """A folder of STEELYARD_HOME, or an S3-compatible bucket through django-storages (pip install 'steelyard[s3]')."""
    bucket, _slash, prefix = env.str("SNAPSHOT_BUCKET", default="").partition("/")
    if not bucket:
        return {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": STEELYARD_HOME / "snapshots"},
        }
    options: dict[str, Any] = {"bucket_name": bucket, "location": prefix}
    # Keys come from where boto3 finds them: the environment, a profile, the machine's role.
    if endpoint := env.address("SNAPSHOT_S3_ENDPOINT", ["https", "http"]):
        options["endpoint_url"] = endpoint
    return {"BACKEND": "portal.exports.bucket_storage.Bucket", "OPTIONS": options}


STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "snapshots": _snapshot_storage(),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "portal.operations.error_pages.csrf_failure"
SILENCED_SYSTEM_CHECKS: list[str] = []

# --- Logs

LOG_LEVEL: str = env.one_of(
    "LOG_LEVEL",
    ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    default="INFO",
    aliases={"warn": "WARNING", "fatal": "CRITICAL"},
)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"request_id": {"()": "portal.operations.request_ids.RequestIdFilter"}},
    "formatters": {"line": {"format": "{levelname:<7} {request_id:<16} {name}  {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["request_id"]}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "httpx2": {"level": "WARNING"},
        "urllib3": {"level": "WARNING"},
        # That each task has come and gone: the rows say it, and each line goes through two processes.
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
    },
}
