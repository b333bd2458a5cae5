from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "portal.accounts"
    verbose_name = _("People and tokens")

    def ready(self) -> None:
        from portal.accounts import receivers  # noqa: F401, PLC0415  (the models exist only now)
