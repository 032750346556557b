"""Which wires of other systems there are, and the grammar of the settings that open them and name their models."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

Network = IPv4Network | IPv6Network

WIRES = ("lambda", "roboflow", "clip-retrieval", "immich", "openai", "weaviate")
"""The serverless classifier, Roboflow's inference, clip-retrieval's back end, immich's machine learning, OpenAI's
embeddings and Weaviate's vectorizer."""


def split_names(value: Any) -> Any:
    """Names between commas, each once; whatever is no text is left as it is."""
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))


def check_wires(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each once. Raises ValueError for one that no wire has."""
    for name in names:
        if name not in WIRES:
            close = difflib.get_close_matches(name, WIRES, n=1)
            raise ValueError(
                f"there is no wire {name!r}{f' (did you mean {close[0]}?)' if close else ''}; there are "
                + ", ".join(WIRES)
            )
    return tuple(dict.fromkeys(names))


def open_networks(text: str) -> dict[str, tuple[Network, ...]]:
    """From which networks each wire may be asked without a key: ``immich@172.16.0.0/12,127.0.0.1;lambda@10.0.0.0/8``.

    Raises ValueError for what follows no such form, and for a network of all addresses.
    """
    found: dict[str, tuple[Network, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        wire, _, written = part.partition("@")
        (name,) = check_wires((wire.strip(),))
        networks = [_network(one.strip()) for one in written.split(",") if one.strip()]
        if not networks:
            raise ValueError(f"{part!r} names no network; write WIRE@NETWORK,NETWORK such as {name}@192.168.1.0/24")
        found[name] = (*found.get(name, ()), *networks)
    return found


def check_open(text: str) -> str:
    """The text, when ``open_networks`` can read it. Raises ValueError."""
    open_networks(text)
    return text


def model_names(text: str) -> dict[str, str]:
    """What the names of models that clients send stand for: ``ViT-B-32__openai=demo,ViT-B-16=demo``.

    Raises ValueError for what follows no such form.
    """
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        named, _, model = (side.strip() for side in part.partition("="))
        if not named or not model:
            raise ValueError(f"{part!r} maps no name to a model; write NAME=MODEL,NAME=MODEL")
        found[named] = model
    return found


def check_models(text: str) -> str:
    """The text, when ``model_names`` can read it. Raises ValueError."""
    model_names(text)
    return text


def opened_to(networks: Mapping[str, tuple[Network, ...]], wire: str, address: str) -> bool:
    """Whether this address may ask this wire without a key. An IPv4 address within IPv6 counts as what it is."""
    try:
        asking = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(asking, IPv6Address) and asking.ipv4_mapped is not None:
        asking = asking.ipv4_mapped
    return any(asking in network for network in networks.get(wire, ()) if network.version == asking.version)


def _network(written: str) -> Network:
    try:
        network = ip_network(written)
    except ValueError as error:
        raise ValueError(f"{written!r} is no network such as 172.16.0.0/12 or fd00::/8: {error}") from error
    if network.prefixlen == 0:
        raise ValueError(f"{written!r} is every address there is; name the network that your clients are in")
    return network
