"""One POST to the webhook: to the address that was looked at, no redirect, nothing read back.

Whoever may write here chooses the address, and it may be one of this machine or its network. What
it may not be is an address of the link alone, behind which machines of the cloud keep secrets. A
name is looked up once and the connection goes to what was found: it cannot mean another address by
then. Of the answer only its status is looked at, so that nothing can be read with this.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import httpx

from backend.notices.views import Notice

TIMEOUT_SECONDS = 10.0
# Where clouds answer their machines beside the link's addresses: Amazon, and Alibaba.
CLOUDS_OWN = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200")))
TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


class NotSentError(Exception):
    """Why a notice was not taken, in words; `is_final` where another try would not help."""

    def __init__(self, words: str, is_final: bool = False) -> None:
        super().__init__(words)
        self.is_final = is_final


async def send(url: str, notice: Notice) -> str:
    """Send a notice and return what was answered, such as `204 No Content`.

    Raises:
        NotSentError: it could not be sent, or was not taken.
    """
    try:
        # In all: a server that answers letter by letter would hold the notice for ever.
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await _sent(url, notice)
    except TimeoutError as error:
        raise NotSentError(f"It took more than {TIMEOUT_SECONDS:g} s.") from error


async def _sent(url: str, notice: Notice) -> str:
    try:
        named = httpx.URL(url)
        host = named.host
    except (httpx.InvalidURL, UnicodeError) as error:
        raise NotSentError(f"This is no address: {error}.", is_final=True) from error
    address = await _address_of(host, named.port or (443 if named.scheme == "https" else 80))
    try:
        async with (
            # Proxies of the environment are not asked: they would look the name up themselves.
            httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_SECONDS) as client,
            client.stream(
                "POST",
                named.copy_with(host=address),
                content=notice.model_dump_json(),
                headers={"host": named.netloc.decode("ascii"), "content-type": "application/json"},
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            status = f"{answer.status_code} {answer.reason_phrase}".strip()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSentError(str(error) or type(error).__name__) from error
    if answer.is_success:
        return status
    if answer.is_redirect:
        raise NotSentError(f"It answered {status}. Give the address that this leads to.", True)
    is_final = answer.is_client_error and answer.status_code != 429
    raise NotSentError(f"It answered {status}.", is_final)


async def _address_of(host: str, port: int) -> str:
    """The address that a name means now.

    Raises:
        NotSentError: there is none, or it is one that must not be asked.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotSentError(f"{host} cannot be found ({error}).") from error
    addresses = [str(info[4][0]) for info in found]
    for address in addresses:
        if is_forbidden(address):
            raise NotSentError(f"{host} is {address}, which is not asked.", is_final=True)
    return addresses[0]


def is_forbidden(address: str) -> bool:
    """Whether an address is of the link alone, of many at once, of nobody, or of a cloud's own."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        ip = _inner(ip) or ip
    return ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip in CLOUDS_OWN


def _inner(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address of the older kind that another is a spelling of, where gateways read it so."""
    if ip in TRANSLATED:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
