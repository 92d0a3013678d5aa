"""One private network for all tests: three tor authorities, tor relays and exits, a tor
client, and three relays of ours.

Environment:
  NONOS_BUILD        build directory with nonosd and nonosctl (default: build/release, build)
  NONOS_LAB_PROGRAM  `tor`: a stock tor stands in for ours, to try the tests themselves
  ANON, ANON_GENCERT the Anyone network's programs, for test_anon.py (default: from PATH, or skipped)
  NET_MB             megabytes per download (default 20; 300 with NET_FULL)
  NET_FULL           1: full sizes (300 MB, 10,000 links)
  NET_SLOW           factor on time limits (default 1; sanitizer builds: 3)
"""

import os

import pytest

from tornet import Network, TornetError, proc_rss, tool_version
from tornet.util import proc_tree

PROGRAM = os.environ.get("NONOS_LAB_PROGRAM", "nonosd")
FULL = bool(os.environ.get("NET_FULL"))
MB = float(os.environ.get("NET_MB") or (300 if FULL else 20))
SLOW = float(os.environ.get("NET_SLOW", "1"))
LINKS = int(os.environ.get("NET_LINKS") or (10000 if FULL else 1000))

FLAGS = ("Running", "Valid", "Fast", "Stable", "V2Dir", "Guard", "Exit")


def pytest_configure(config):
    config.addinivalue_line("markers", "restarts: the test itself ends processes of ours")
    config.addinivalue_line("markers", "hostile: meant for sanitizer builds as well")
    config.addinivalue_line("markers", "long: takes a minute or more; check.sh leaves it to its step \"long\"")
    config.addinivalue_line("markers", "bounds: measures memory, so meant for plain builds too")


def pytest_report_header():
    try:
        return "ours: %s; tor: %s" % (PROGRAM, tool_version())
    except (OSError, TornetError) as exc:
        return "ours: %s; %s" % (PROGRAM, exc)


def network(path, **kw):
    net = Network(str(path))
    options = dict(authorities=3, relays=3, exits=2, clients=1, ours=3, ours_program=PROGRAM)
    options.update(kw)
    net.up(timeout=int(120 * SLOW), **options)
    return net


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The network. Authorities test a relay's ORPort before they call it Running."""
    net = Network(str(tmp_path_factory.mktemp("net") / "lab"))
    try:
        net = network(net.base, real_reachability=True)
        for name in net.ours():
            net.wait_relay(name, FLAGS, timeout=int(60 * SLOW))
        yield net
    finally:
        Network(net.base).stop()


@pytest.fixture
def make_net(tmp_path_factory):
    """A network of the test's own, stopped at its end."""
    made = []

    def make(**kw):
        path = tmp_path_factory.mktemp("n")     # short: it holds Unix sockets
        made.append(path)
        return network(path, **kw)
    yield make
    for path in made:
        net = Network(str(path))
        net.stop()
        reports = net.sanitizer_reports()
        assert not reports, "\n".join(reports.values())


@pytest.fixture(autouse=True)
def watch_ours(request):
    """After each test: our relays are the same processes as before, and no sanitizer spoke."""
    if "lab" not in request.fixturenames:
        yield
        return
    net = request.getfixturevalue("lab")
    before = {n: proc_tree(net.pid(n)) for n in net.ours()}
    seen = set(net.sanitizer_reports())
    yield
    reports = {p: t for p, t in net.sanitizer_reports().items() if p not in seen}
    assert not reports, "\n".join("%s:\n%s" % item for item in reports.items())
    if request.node.get_closest_marker("restarts"):
        return
    for name, tree in before.items():
        now = net.pid(name)
        assert now, "%s died:\n%s" % (name, net.log_tail(name, 30))
        assert proc_tree(now) == tree, "%s lost a worker:\n%s" % (name, net.log_tail(name, 30))


def rss_mib(net, name):
    """Resident memory of keeper and workers together."""
    pid = net.pid(name)
    return sum(proc_rss(one)["rss_kib"] for one in proc_tree(pid)) / 1024
