"""The Anyone network's client in place of tor's, where $ANON names it."""

import os

import pytest

from conftest import SLOW
from test_transfer import PATHS

pytestmark = pytest.mark.skipif(not os.environ.get("ANON"), reason="ANON is not set")


@pytest.fixture(scope="module")
def anon(lab):
    lab.add_client("anon", ["AgreeToTerms 1"], tool="anon")
    lab.start(["anon"])
    lab.wait(int(120 * SLOW))
    yield "anon"
    lab.remove_node("anon")


@pytest.mark.parametrize("where", list(PATHS))
def test_download(lab, anon, where):
    result = lab.fetch(path=PATHS[where], mb=5, circuits=2, client=anon, timeout=int(120 * SLOW))
    assert result["sha256_ok"]
