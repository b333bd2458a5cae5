"""What uvicorn serves. The web process never loads torch or transformers (tests/test_web_process_imports.py)."""

import os
import threading
import warnings

import django

from portal.environment import exit_unless_configured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

# whitenoise reads static files with a synchronous iterator. They are small, and Django reads them in a thread.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

exit_unless_configured()
django.setup(set_prefix=False)

from portal.arena.written_language import load_languages  # noqa: E402 - needs the settings
from portal.operations.request_threads import OneThreadHandler  # noqa: E402
from portal.operations.settled_memory import settle_memory  # noqa: E402

application = OneThreadHandler()
settle_memory()
# Beside what is served meanwhile: whoever gives words first would load it inside a transaction, with others waiting.
threading.Thread(target=load_languages, name="languages").start()
