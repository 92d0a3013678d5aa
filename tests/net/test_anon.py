"""The Anyone network's `anon` wherever else there is a tor: authorities, relays, exits, clients.

The tests are those for tor, in a network of that program; skipped where there is none.
"""

import pytest

from conftest import FLAGS, SLOW, network
from tornet import Network, TornetError, find_tool

from test_flags import test_all_flags_with_reachability_test, test_link_presents_the_listed_identity
from test_paths import (test_bootstrap_with_ours_as_only_caches, test_every_order,
                        test_many_circuits_share_few_links)
from test_transfer import (test_both_directions_at_once, test_clients_choose_ours, test_download,
                           test_hundred_parallel_streams, test_upload)

ROLES = ("auth", "relay", "exit", "client")


def have_anon():
    try:
        return all(find_tool(name) for name in ("anon", "anon-gencert"))
    except TornetError:
        return False


pytestmark = pytest.mark.skipif(not have_anon(), reason="no anon: set $ANON and $ANON_GENCERT")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Takes the place of the fixture of that name: the same network, of anon."""
    net = Network(str(tmp_path_factory.mktemp("anon") / "lab"))
    try:
        net = network(net.base, real_reachability=True, tools=dict.fromkeys(ROLES, "anon"))
        for name in net.ours():
            net.wait_relay(name, FLAGS, timeout=int(60 * SLOW))
        yield net
    finally:
        Network(net.base).stop()


def test_tor_and_anon_in_one_network(make_net):
    """tor's authorities; a client and relays of each program, ours between them."""
    net = make_net(relays=2, exits=1, ours=2, tools={"relay": "anon"})
    net.add_client("anonclient", tool="anon")
    net.start(["anonclient"])
    net.wait(timeout=int(60 * SLOW))
    for client in ("client0", "anonclient"):
        for path in (["relay0", "ours0", "exit0"], ["ours0", "relay0", "ours1"],
                     ["relay1", "ours1", "relay0", "ours0", "exit0"]):
            assert net.fetch(path=path, mb=1, client=client, timeout=int(60 * SLOW))["sha256_ok"]
