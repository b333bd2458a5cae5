"""Requests that must not reach the network inside: by address, by name, and by a name that changes its mind."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx2
import pytest

from inference.public_address import AddressRefused, PublicTransport, is_public, public_address


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
        *("::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "::"),
        *("224.0.0.1", "255.255.255.255", "198.18.0.1"),
    ],
)
def test_addresses_of_the_network_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


def answering(*addresses: str) -> Any:
    return lambda host, port, **kwargs: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]


def test_a_name_is_refused_when_any_of_its_addresses_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answering("1.1.1.1", "10.0.0.1"))
    with pytest.raises(AddressRefused, match="is inside this network"):
        public_address("two.example", 80)
    monkeypatch.setattr(socket, "getaddrinfo", answering())
    with pytest.raises(AddressRefused):
        public_address("none.example", 80)


@pytest.fixture
def inside() -> Iterator[str]:
    """A server on this machine, which is inside."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.headers["Host"].encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]", "0x7f.1"])
def test_a_server_inside_is_not_asked_however_it_is_written(inside: str, host: str) -> None:
    port = inside.partition(":")[2]
    with httpx2.Client(transport=PublicTransport()) as client, pytest.raises(AddressRefused):
        client.get(f"http://{host}:{port}/v1/models")


def test_the_connection_goes_to_the_address_that_was_checked(inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that would resolve to something else a second time is not resolved a second time."""
    asked: list[str] = []
    resolve = socket.getaddrinfo

    def once(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host == "changing.example":
            asked.append(host)
            return answering("127.0.0.1")(host, port)
        return resolve(host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    monkeypatch.setattr("inference.public_address.is_public", lambda address: True)
    port = inside.partition(":")[2]
    with httpx2.Client(transport=PublicTransport()) as client:
        answer = client.get(f"http://changing.example:{port}/")
    assert answer.text == f"changing.example:{port}"
    assert asked == ["changing.example"]


def test_a_host_that_the_operator_names_is_asked(inside: str) -> None:
    for allowed in (inside, "127.0.0.1"):
        with httpx2.Client(transport=PublicTransport([allowed])) as client:
            assert client.get(f"http://{inside}/").status_code == 200
