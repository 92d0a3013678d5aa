"""A private Tor network on 127.0.0.1, as a library.

    from tornet import running
    with running("net", relays=2, exits=1, clients=1) as net:
        print(net.fetch(path=["relay0", "relay1", "exit0"], mb=50)["mb_per_s"])
"""

from .control import Control
from .consensus import parse_consensus
from .money import Money
from .network import Network, running
from .util import (HOST, TornetError, b64pad, find_tool, http_request, log, pick_port_block,
                   proc_cpu, proc_rss, proc_start_ticks, tool_version, wait_port)
from .web import download, payload_server, payload_sha256, socks_connect
