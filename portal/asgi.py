"""What uvicorn serves. The web process never loads torch or transformers (tests/test_web_process_imports.py)."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

application = get_asgi_application()
