"""Maintainers' pages for questionnaires: the list, a version with its questions, and the steps of a draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.forms import Form, ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from portal.catalog.markdown import render_markdown
from portal.feedback.access import get_draft, get_questionnaire, require_maintainer
from portal.feedback.editor_forms import NewQuestionnaireForm, QuestionForm, SettingsForm
from portal.feedback.models import Question, QuestionKind, Questionnaire
from portal.feedback.queries import questionnaires_by_name
from portal.feedback.question_display import form_questions
from portal.feedback.questionnaire_services import (
    DraftConflict,
    change_settings,
    discard_draft,
    move_question,
    open_draft,
    publish_draft,
    remove_question,
    save_question,
    save_translations,
    start_questionnaire,
)
from portal.feedback.wording import LANGUAGE_NAMES, RIGHT_TO_LEFT, available_languages, texts_of, wording

PER_PAGE: Final = 50
_CONFLICT: Final = gettext_noop(
    "Somebody else changed this draft since your page was loaded, so nothing was saved. Look again."
)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD"])
def questionnaire_list(request: HttpRequest) -> HttpResponse:
    """Every questionnaire by its name, with the version that is asked and the draft of the next."""
    require_maintainer(request.user)
    page = Paginator(questionnaires_by_name(), PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "feedback/questionnaires.html", {"page": page})


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def new_questionnaire(request: HttpRequest) -> HttpResponse:
    author = require_maintainer(request.user)
    form = NewQuestionnaireForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            draft = start_questionnaire(author, form.cleaned_data["slug"], form.cleaned_data["title"])
        except ValidationError as error:
            form.add_error(None, error)
        else:
            return redirect(draft)
    return _form(request, form, title=_("A new questionnaire"), action=_("Begin"))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD"])
def questionnaire(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    """One version as people are asked it; a draft with what changes it."""
    shown = get_questionnaire(request.user, slug, version)
    language = request.GET.get("language", "")
    languages = available_languages(shown)
    if language not in languages:
        language = shown.language
    questions = list(shown.questions.all())
    context = {
        "questionnaire": shown,
        "questions": form_questions(questions, {}, language=language),
        "title": wording(shown, "title", shown.title, language),
        "intro": render_markdown(wording(shown, "intro", shown.intro, language)) if shown.intro else "",
        "kinds": list(QuestionKind),
        "kind_names": {question.key: question.get_kind_display() for question in questions},
        "versions": Questionnaire.objects.filter(slug=slug).order_by("-version").only("slug", "version", "is_current"),
        "language": language,
        "languages": [(each, LANGUAGE_NAMES.get(each, each)) for each in languages],
        "other_languages": [(each, name) for each, name in LANGUAGE_NAMES.items() if each != shown.language],
        "generation": None,
    }
    return render(request, "feedback/questionnaire.html", context)


@never_cache
@login_required
@require_http_methods(["POST"])
def draft(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    """The draft of the next version, begun from this one unless there is one."""
    author = require_maintainer(request.user)
    return redirect(open_draft(author, get_questionnaire(request.user, slug, version)))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def settings_of(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    changed = get_draft(request.user, slug, version)
    stored = get_draft(request.user, slug, version)
    form = SettingsForm(request.POST or None, instance=changed, initial={"revision": changed.revision})
    conflict: list[tuple[str, Any]] = []
    if request.method == "POST" and form.is_valid():
        stored.revision = form.cleaned_data["revision"]
        try:
            change_settings(stored, {name: form.cleaned_data[name] for name in SettingsForm.Meta.fields})
        except DraftConflict:
            now = get_draft(request.user, slug, version)
            form.data = _based_on(form, now.revision)
            conflict = [
                (str(form.fields[name].label), getattr(now, name))
                for name in SettingsForm.Meta.fields
                if getattr(now, name) != form.cleaned_data[name]
            ]
            return _form(
                request, form, title=_("Settings"), action=_("Save"), back=now.get_absolute_url(), conflict=conflict,
                is_conflict=True, status=409,
            )  # fmt: skip
        return redirect("feedback:questionnaire", slug, version)
    return _form(request, form, title=_("Settings"), action=_("Save"), back=changed.get_absolute_url())


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def add_question(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    edited = get_draft(request.user, slug, version)
    try:
        kind = QuestionKind(request.GET.get("kind", ""))
    except ValueError:
        raise Http404 from None
    return _question(request, edited, kind, None, list(edited.questions.all()))


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def question(request: HttpRequest, slug: str, version: int, key: str) -> HttpResponse:
    edited = get_draft(request.user, slug, version)
    questions = list(edited.questions.all())
    found = next((each for each in questions if each.key == key), None)
    if found is None:
        raise Http404
    return _question(request, edited, QuestionKind(found.kind), found, questions[: questions.index(found)])


def _question(
    request: HttpRequest, edited: Questionnaire, kind: QuestionKind, found: Question | None, before: list[Question]
) -> HttpResponse:
    form = QuestionForm(
        request.POST or None, kind=kind, before=before, question=found, initial={"revision": edited.revision}
    )
    page: dict[str, Any] = {
        "title": found.label if found is not None else _("A new question: %s") % kind.label,
        "action": _("Save"),
        "back": edited.get_absolute_url(),
    }
    if request.method == "POST" and form.is_valid():
        edited.revision = form.cleaned_data["revision"]
        try:
            save_question(edited, kind, found, form.values())
        except ValidationError as error:
            form.add_error(None, error)
        except DraftConflict:
            now = get_draft(request.user, edited.slug, edited.version)
            form.data = _based_on(form, now.revision)
            stored = now.questions.filter(key=found.key).first() if found is not None else None
            conflict = form.stored(stored) if stored is not None else []
            return _form(request, form, **page, conflict=conflict, is_conflict=True, status=409)
        else:
            return redirect(f"{edited.get_absolute_url()}#question-{form.cleaned_data['key']}")
    return _form(request, form, **page)


@never_cache
@login_required
@require_http_methods(["POST"])
def move(request: HttpRequest, slug: str, version: int, key: str) -> HttpResponse:
    direction = request.POST.get("direction", "")
    if direction not in {"up", "down"}:
        raise Http404
    return _step(request, slug, version, lambda edited: move_question(edited, key, direction), f"#question-{key}")  # type: ignore[arg-type]


@never_cache
@login_required
@require_http_methods(["POST"])
def remove(request: HttpRequest, slug: str, version: int, key: str) -> HttpResponse:
    return _step(request, slug, version, lambda edited: remove_question(edited, key), "#questions")


@never_cache
@login_required
@require_http_methods(["POST"])
def publish(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    return _step(request, slug, version, publish_draft)


@never_cache
@login_required
@require_http_methods(["POST"])
def discard(request: HttpRequest, slug: str, version: int) -> HttpResponse:
    response = _step(request, slug, version, discard_draft)
    is_gone = not Questionnaire.objects.filter(slug=slug, version=version).exists()
    return redirect("feedback:questionnaires") if is_gone else response


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def translations(request: HttpRequest, slug: str, version: int, language: str) -> HttpResponse:
    """Every text of a draft beside its translation."""
    edited = get_draft(request.user, slug, version)
    if language not in LANGUAGE_NAMES or language == edited.language:
        raise Http404
    texts = texts_of(edited, language)
    problem, status = "", 200
    if request.method == "POST":
        said = {text.name: request.POST.get(text.name, "") for text in texts}
        edited.revision = _revision(request)
        try:
            save_translations(edited, language, said)
        except (DraftConflict, ValidationError) as error:
            is_conflict = isinstance(error, DraftConflict)
            problem = _(_CONFLICT) if is_conflict else " ".join(error.messages)  # type: ignore[union-attr]
            status = 409 if is_conflict else 422
            edited = get_draft(request.user, slug, version)
        else:
            return redirect(f"{edited.get_absolute_url()}?language={language}")
    context = {
        "questionnaire": edited,
        "language": language,
        "language_name": LANGUAGE_NAMES[language],
        "direction": "rtl" if language in RIGHT_TO_LEFT else "ltr",
        "texts": [(text, request.POST.get(text.name, text.translation)) for text in texts],
        "missing": sum(not text.translation for text in texts),
        "problem": problem,
    }
    return render(request, "feedback/translations.html", context, status=status)


def _step(
    request: HttpRequest, slug: str, version: int, step: Callable[[Questionnaire], None], anchor: str = ""
) -> HttpResponse:
    """One change by a button; what is refused is said on the page that it leads back to."""
    edited = get_draft(request.user, slug, version)
    edited.revision = _revision(request)
    try:
        step(edited)
    except DraftConflict:
        messages.error(request, _(_CONFLICT))
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{reverse('feedback:questionnaire', args=[slug, version])}{anchor}")


def _revision(request: HttpRequest) -> int:
    text = request.POST.get("revision", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _based_on(form: Form | ModelForm[Any], revision: int) -> Any:
    data = form.data.copy()  # type: ignore[attr-defined]
    data["revision"] = str(revision)
    return data


def _form(request: HttpRequest, form: Any, *, status: int = 200, **page: Any) -> HttpResponse:
    if form.errors:
        status = 422
    return render(request, "feedback/editor_form.html", {"form": form, **page}, status=status)
