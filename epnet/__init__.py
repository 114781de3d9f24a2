"""epnet: the Energy Protocol (EP) over Ethernet/TCP, as a Twisted protocol framework.

The public names are loaded on first use, so that ``import epnet.wire`` imports no Twisted.
"""

from __future__ import annotations

from importlib import import_module, metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from epnet.connections import Connections
    from epnet.factory import EPClientFactory, EPPeerFactory, EPServerFactory
    from epnet.interfaces import IClient, IDevice, INode, IPeer, IPort, IServer
    from epnet.node import DeviceNode
    from epnet.protocol import EPProtocol

__all__ = [
    "Connections",
    "DeviceNode",
    "EPClientFactory",
    "EPPeerFactory",
    "EPProtocol",
    "EPServerFactory",
    "IClient",
    "IDevice",
    "INode",
    "IPeer",
    "IPort",
    "IServer",
    "__version__",
]

_MODULES = {
    "Connections": "epnet.connections",
    "DeviceNode": "epnet.node",
    "EPClientFactory": "epnet.factory",
    "EPPeerFactory": "epnet.factory",
    "EPProtocol": "epnet.protocol",
    "EPServerFactory": "epnet.factory",
    "IClient": "epnet.interfaces",
    "IDevice": "epnet.interfaces",
    "INode": "epnet.interfaces",
    "IPeer": "epnet.interfaces",
    "IPort": "epnet.interfaces",
    "IServer": "epnet.interfaces",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        return metadata.version("epnet")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
