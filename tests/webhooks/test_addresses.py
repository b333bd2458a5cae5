"""Messages leave for the internet at large, and for what the operator names; for nothing else inside."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from inference import public_address
from portal.webhooks.addresses import check_address
from portal.webhooks.sending import Outcome, post
from tests.services.installation import eventually
from tests.webhooks.receiver import Receiver


@pytest.mark.parametrize(
    "url", ["https://example.org/hooks", "https://93.184.216.34:8443/a?b=c", "https://[2606:2800::1]/"]
)
def test_public_addresses_are_taken(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hooks",
        "ftp://example.org/",
        "example.org/hooks",
        "https://",
        "https://user:password@example.org/",
        "https://example.org/#part",
        "https://example.org:99999/",
        "https://exämple.org/",
        "https://example.org/a b",
        "https://example.org/" + "a" * 500,
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://10.1.2.3/",
        "https://0.0.0.0/",
        "https://[fe80::1]/",
        "https://localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
    ],
)
def test_everything_else_is_refused_by_the_field(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check_address(url)
    assert list(refused.value.message_dict) == ["url"]


@given(st.text(max_size=60) | st.text("htps:/[]@#.0129af", max_size=40))
def test_no_text_breaks_the_check(text: str) -> None:
    try:
        check_address(text)
    except ValidationError:
        return
    assert text.startswith("https://")


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("https://10.1.2.3/hooks", "10.1.2.3:443"),
        ("http://localhost:9001/hooks", "localhost:9001"),
        ("https://[::1]:8443/", "::1:8443"),
    ],
)
def test_an_address_inside_is_refused_with_what_an_operator_can_do(url: str, named: str, settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = []
    with pytest.raises(ValidationError, match=f"WEBHOOK_PRIVATE_HOSTS={named} and a restart"):
        check_address(url)
    settings.WEBHOOK_PRIVATE_HOSTS = [named]
    check_address(url)


def test_what_the_operator_names_may_be_inside(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = ["10.1.2.3", "localhost:9000"]
    check_address("http://10.1.2.3/hooks")
    check_address("http://localhost:9000/hooks")
    with pytest.raises(ValidationError):
        check_address("http://localhost:9001/hooks")


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"])
def test_a_connection_goes_to_no_address_inside_however_it_is_written(
    host: str, receiver: Receiver, settings: Any
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = []
    port = receiver.host.partition(":")[2]
    outcome = post(f"http://{host}:{port}/", b"{}", {})
    assert outcome.status is None
    assert outcome.error.endswith("An operator can let it through with WEBHOOK_PRIVATE_HOSTS.")
    assert not receiver.received


def test_a_name_that_changes_its_address_is_asked_once_and_goes_where_it_was_checked(
    receiver: Receiver, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_PRIVATE_HOSTS = []
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *args: Any, **kwargs: Any) -> Any:
        if host != "rebind.example":
            return real(host, *args, **kwargs)
        asked.append(host)
        # Public to whoever asks first, inside from then on.
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0))]

    monkeypatch.setattr(public_address.socket, "getaddrinfo", rebinding)
    settings.WEBHOOK_TIMEOUT_S = 0.5
    port = receiver.host.partition(":")[2]

    def asks() -> Outcome | None:
        # On a machine that stands still the time may be over before the name is asked.
        outcome = post(f"http://rebind.example:{port}/", b"{}", {})
        return outcome if asked else None

    outcome = eventually(asks, 60, "the name is asked")
    assert asked == ["rebind.example"]
    assert outcome.status is None
    assert not receiver.received


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.answer = lambda _received: (302, {"Location": "/elsewhere"}, b"")
    outcome = post(receiver.url, b"{}", {})
    assert (outcome.status, outcome.is_success) == (302, False)
    assert [each.path for each in receiver.received] == ["/hooks"]


def test_little_of_an_answer_is_read_and_nothing_in_it_is_believed(receiver: Receiver) -> None:
    receiver.answer = lambda _received: (500, {}, b"\x00\x1b[31m<script>\xff" + b"a" * 10_000_000)
    outcome = post(receiver.url, b"{}", {})
    assert outcome.status == 500
    assert len(outcome.excerpt) == 500
    assert "\x00" not in outcome.excerpt
    assert "\x1b" not in outcome.excerpt


def test_a_receiver_that_drips_is_left_after_the_time_for_the_whole(settings: Any) -> None:
    settings.WEBHOOK_TIMEOUT_S = 0.6
    with socket.create_server(("127.0.0.1", 0)) as server:
        settings.WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]

        def drip() -> None:
            connection, _address = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.recv(65_536)
                for byte in itertools.chain(b"HTTP/1.1 200 OK\r\nX-Long: ", itertools.repeat(ord("a"))):
                    connection.send(bytes([byte]))
                    time.sleep(0.05)

        # Until it is hung up on, and for ever where it is not.
        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        outcome = post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        assert (outcome.status, "0.6 s" in outcome.error) == (None, True)
        thread.join()
