"""`manage.py create_token`: a token for a script, printed alone, so that a shell can take it."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from portal.accounts.models import Scope, User
from portal.accounts.services import create_token


class Command(BaseCommand):
    help = "Make an API token and print it. It is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", required=True, help="username of the token's owner")
        parser.add_argument(
            "--scope",
            required=True,
            nargs="+",
            action="extend",
            metavar="SCOPE",
            help=f"what the token may be used for: {', '.join(Scope.values)}",
        )
        parser.add_argument("--name", default="create_token", help="what will use it (default: %(default)s)")
        parser.add_argument("--expires-days", type=int, metavar="D", help="days until it expires (default: never)")
        parser.add_argument("--json", action="store_true", help="print the token with its facts as one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        days: int | None = options["expires_days"]
        try:
            user = User.objects.get(username__iexact=options["user"])
        except User.DoesNotExist as error:
            raise CommandError(f"Nobody is called {options['user']!r} here.") from error
        try:
            token, secret = create_token(
                user,
                name=options["name"],
                scopes=options["scope"],
                # Brought to what can be computed with, and refused all the same.
                lifetime=None if days is None else timedelta(days=min(max(days, 0), timedelta.max.days)),
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        if not options["json"]:
            self.stdout.write(secret)
            return
        facts = {
            "id": str(token.pk),
            "token": secret,
            "user": user.get_username(),
            "name": token.name,
            "scopes": token.scopes,
            "expires_at": token.expiry.isoformat() if token.expiry else None,
        }
        self.stdout.write(json.dumps(facts))
