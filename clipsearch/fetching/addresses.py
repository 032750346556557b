"""Which addresses are the public internet's; it alone holds the list, which is ours and not Python's.

``ipaddress`` calls 224.0.0.1, 192.0.0.8, 5f00::1 and addresses that hold a private one inside (6to4, NAT64) global in
some of its versions. Here the blocks of IANA's registries of special purposes are refused whole, also where one of
their addresses is reachable, and of IPv6 only what IANA gives out for the internet is let through.
"""

from __future__ import annotations

import ipaddress
from typing import Final

_REFUSED_V4: Final = tuple(
    ipaddress.IPv4Network(block)
    for block in (
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a carrier's customers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their machines' secrets
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_GIVEN_OUT_V6: Final = ipaddress.IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    ipaddress.IPv6Network(block)
    for block in (
        "2001::/23",  # protocols: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the 6bone that was
        "3fff::/20",  # documentation
    )
)
# Interface identifiers of ISATAP, which hold an IPv4 address in their last 32 bits.
_ISATAP: Final = frozenset({0x0000_5EFE, 0x0200_5EFE})


def is_public(address: str) -> bool:
    """Whether this is the address of a machine in the public internet; false for what is no address at all."""
    try:
        one = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(one, ipaddress.IPv4Address):
        return not any(one in block for block in _REFUSED_V4)
    if one.scope_id is not None or (int(one) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return False
    return one in _GIVEN_OUT_V6 and not any(one in block for block in _REFUSED_V6)
