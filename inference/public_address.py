"""Keeps requests out of the network inside: transports that connect to public addresses alone.

A name is resolved once per request and the connection goes to the address that was checked, so that a name cannot show
one address to the check and another to the connection.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Collection
from typing import Final

import httpx2

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(httpx2.ConnectError):
    """The host is not public, or cannot be found."""


class AddressInside(AddressRefused):
    """The host is in the network inside."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet at large, also where it wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        within = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            within = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if within is not None:
            return is_public(str(within))
    # Python counts the site-local addresses of old (fec0::/10) among the global ones.
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not getattr(ip, "is_site_local", False)


def public_address(host: str, port: int) -> str:
    """The address to connect to. Raises AddressRefused where any of the host's addresses is not public."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressRefused(f"{host} cannot be found") from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise AddressInside(f"{host} is inside this network, which may not be asked from here")
    return addresses[0]


def _aim(request: httpx2.Request, allowed: Collection[str]) -> None:
    """Point the request at the checked address; its Host header and the name in TLS stay."""
    host = request.url.host
    port = request.url.port or {"http": 80, "https": 443}[request.url.scheme]
    if host in allowed or f"{host}:{port}" in allowed:
        return
    address = public_address(host, port)
    request.extensions = {**request.extensions, "sni_hostname": host}
    request.url = request.url.copy_with(host=address)


class PublicTransport(httpx2.HTTPTransport):
    """Connects to public addresses, and to the hosts (host or host:port) that are `allowed` all the same."""

    def __init__(self, allowed: Collection[str] = ()) -> None:
        super().__init__()
        self._allowed = frozenset(allowed)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        _aim(request, self._allowed)
        return super().handle_request(request)


class AsyncPublicTransport(httpx2.AsyncHTTPTransport):
    """The same for an event loop."""

    def __init__(self, allowed: Collection[str] = (), *, limits: httpx2.Limits) -> None:
        super().__init__(limits=limits)
        self._allowed = frozenset(allowed)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await asyncio.to_thread(_aim, request, self._allowed)
        return await super().handle_async_request(request)
