"""Every page's address; each app owns its own."""

from django.contrib import admin
from django.urls import include, path
from django.utils.translation import gettext_lazy as _

admin.site.site_header = _("Steelyard administration")
admin.site.site_title = _("Steelyard administration")

urlpatterns = [
    # Some two hundred addresses are tried in turn; every prompt of a program begins here.
    path("v1/", include("portal.api.openai.urls")),
    path("", include("portal.catalog.urls")),
    path("", include("portal.evidence.urls")),
    path("", include("portal.playground.urls")),
    path("", include("portal.arena.urls")),
    path("", include("portal.feedback.urls")),
    path("", include("portal.reviews.urls")),
    path("", include("portal.exports.urls")),
    path("", include("portal.webhooks.urls")),
    path("", include("portal.api.urls")),
    path("", include("portal.operations.urls")),
    path("accounts/", include("portal.accounts.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]

handler400 = "portal.operations.error_pages.bad_request"
handler403 = "portal.operations.error_pages.forbidden"
handler404 = "portal.operations.error_pages.not_found"
# Not Django's: allauth calls it when somebody signs in, signs up or resets a password too often.
handler429 = "portal.accounts.views.too_many_attempts"
handler500 = "portal.operations.error_pages.server_error"
