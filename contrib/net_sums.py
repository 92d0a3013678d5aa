#!/usr/bin/env python3
"""What pytest wrote of the network tests, for check.sh.

net_sums.py failed XML         the tests that failed, one a line; nothing when there are more than a few
net_sums.py count XML ENDED    passed, failed, skipped; those of XML.again, where the failed ones were run
                               once more, in place of the first. ENDED is not 0 when pytest failed at last.
"""
import os
import sys
import xml.etree.ElementTree as tree

FEW = 4


def read(path):
    """The result of each test by its name, and whether it is bad."""
    results = {}
    for case in tree.parse(path).getroot().iter("testcase"):
        name = case.get("classname").replace(".", "/") + ".py::" + case.get("name")
        bad = case.find("failure") is not None or case.find("error") is not None
        results[name] = "failed" if bad or results.get(name) == "failed" else \
            "skipped" if case.find("skipped") is not None else "passed"
    return results


def main():
    what, path = sys.argv[1:3]
    try:
        results = read(path)
    except (OSError, tree.ParseError):
        results = None
    if what == "failed":
        failed = [name for name, result in (results or {}).items() if result == "failed"]
        print("\n".join(failed) if len(failed) <= FEW else "", end="\n" if 0 < len(failed) <= FEW else "")
        return
    if results is None:
        print(0, 1)
        return
    if os.path.exists(path + ".again"):
        results |= read(path + ".again")
    sums = [list(results.values()).count(one) for one in ("passed", "failed", "skipped")]
    print(sums[0], max(sums[1], int(sys.argv[3])), sums[2])


main()
