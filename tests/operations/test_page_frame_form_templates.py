"""A form says what is wrong three times over: at the top, beside the field, and to a screen reader."""

from __future__ import annotations

import re

from django import forms
from django.core.paginator import Paginator
from django.template.loader import render_to_string
from django.test import RequestFactory


class ExampleForm(forms.Form):
    name = forms.CharField(help_text="What will use it.", max_length=10)
    comment = forms.CharField(required=False, widget=forms.Textarea)
    scopes = forms.MultipleChoiceField(
        choices=[("read", "Read"), ("submit", "Submit")], widget=forms.CheckboxSelectMultiple, help_text="At least one."
    )
    agree = forms.BooleanField(label="I agree", help_text="You can change your mind.")
    token = forms.CharField(widget=forms.HiddenInput)

    def clean(self) -> None:
        raise forms.ValidationError("These do not go together.")


def rendered(form: forms.Form) -> str:
    return render_to_string("includes/form.html", {"form": form})


def described_by(html: str, name: str) -> list[str]:
    control = re.search(rf'<(?:input|textarea)[^>]*name="{name}"[^>]*>', html)
    assert control is not None
    described = re.search(r'aria-describedby="([^"]*)"', control[0])
    return described[1].split() if described else []


def test_every_control_has_its_label() -> None:
    html = rendered(ExampleForm())
    for name in ("name", "comment", "agree"):
        assert f'<label for="id_{name}">' in html
    assert "<legend>Scopes</legend>" in html


def test_help_and_error_are_tied_to_the_control_and_are_there() -> None:
    html = rendered(ExampleForm({"name": "much too long a name"}))
    assert described_by(html, "name") == ["id_name_helptext", "id_name_error"]
    for name in ("name", "agree"):
        for target in described_by(html, name):
            assert html.count(f'id="{target}"') == 1
    group = re.search(r'<fieldset[^>]*aria-describedby="([^"]*)"', html)
    assert group is not None
    for target in group[1].split():
        assert html.count(f'id="{target}"') == 1


def test_a_wrong_field_is_marked_and_a_right_one_is_not() -> None:
    html = rendered(ExampleForm({"name": "much too long a name", "comment": "fine"}))
    assert re.search(r'<input[^>]*name="name"[^>]*aria-invalid="true"', html)
    assert not re.search(r'<textarea[^>]*name="comment"[^>]*aria-invalid', html)


def test_the_summary_counts_the_lines_that_it_lists() -> None:
    class Password(forms.Form):
        word = forms.CharField()

    form = Password({"word": "12"})
    form.add_error("word", ["It is too short.", "It is too common."])
    summary = rendered(form).partition("data-error-summary")[2].partition("</ul>")[0]
    assert summary.count("<li>") == 2
    assert "2 things need your attention." in summary
    form = Password({})
    assert "One thing needs your attention." in rendered(form)
    form.add_error(None, "These do not go together.")
    assert "2 things need your attention." in rendered(form)


def test_the_summary_lists_each_error_and_leads_to_its_field() -> None:
    html = rendered(ExampleForm({"name": "much too long a name"}))
    summary = html.partition("data-error-summary")[2].partition("</ul>")[0]
    assert 'tabindex="-1"' in html
    assert "These do not go together." in summary
    assert '<a href="#id_name">Name: Ensure this value has at most 10 characters' in summary
    assert '<a href="#id_agree">I agree: This field is required.</a>' in summary
    # A hidden field has nowhere to lead to, but is not passed over either.
    assert "Token: This field is required." in summary


def test_a_fresh_form_has_no_summary() -> None:
    assert "data-error-summary" not in rendered(ExampleForm())


def test_only_what_may_be_left_out_is_called_optional() -> None:
    html = rendered(ExampleForm())
    assert html.count("optional") == html.count('class="field__optional"') * 2 == 2


def test_what_was_typed_comes_back_escaped() -> None:
    html = rendered(ExampleForm({"comment": "</textarea><script>alert(1)</script>"}))
    assert "&lt;/textarea&gt;&lt;script&gt;" in html
    assert "<script>" not in html


def test_pages_keep_the_other_query_parameters() -> None:
    request = RequestFactory().get("/", {"rating": "up", "page": "2"})
    html = render_to_string("includes/pagination.html", {"page": Paginator(range(25), 10).page(2)}, request)
    assert 'href="?rating=up&amp;page=1"' in html
    assert 'href="?rating=up&amp;page=3"' in html
    assert "Page 2 of 3" in html


def test_a_single_page_needs_no_links() -> None:
    html = render_to_string(
        "includes/pagination.html", {"page": Paginator(range(3), 10).page(1)}, RequestFactory().get("/")
    )
    assert "<nav" not in html
