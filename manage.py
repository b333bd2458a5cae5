#!/usr/bin/env python
"""Steelyard's command line: `manage.py up` starts everything, `manage.py doctor` says what is wrong."""

import os
import sys


def main() -> None:
    # Before any other import: what follows is written for 3.11 and would fail in words that help nobody.
    if sys.version_info < (3, 11):  # noqa: UP036 - only installing would enforce it
        sys.exit(
            "Steelyard needs Python 3.11 or newer and this is {}.{}: run `make setup PYTHON=python3.11` with one, "
            "then .venv/bin/python manage.py.".format(*sys.version_info)
        )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415
        from django.db import DatabaseError  # noqa: PLC0415
    except ModuleNotFoundError:
        sys.exit(f"Django is not installed for {sys.executable}: run `make setup`, then .venv/bin/python manage.py.")
    from portal.environment import exit_unless_configured  # noqa: PLC0415

    exit_unless_configured()
    try:
        execute_from_command_line(sys.argv)
    except DatabaseError as error:
        from portal.operations.diagnosis import why_the_database_fails  # noqa: PLC0415 - needs the apps

        reason = "" if "--traceback" in sys.argv else why_the_database_fails(error)
        if not reason:
            raise
        sys.exit(f"CommandError: {reason}")


if __name__ == "__main__":
    main()
