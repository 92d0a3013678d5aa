"""The reward policy nonos-1 a second time, written from the text of include/nonos/rewards.h alone.

Exact integers and fractions; no line of it comes from the C program, which tests/check_nonos1.py
compares with it. compute() takes the file of `nonosctl rewards compute` and gives its answer.
"""
from collections import defaultdict
from fractions import Fraction

YEAR = 31_536_000
WHOLE = 10_000
UNLIMITED = 2 ** 128 - 1


def tier_of(params, locks):
    best = None
    for tier in params["tiers"]:
        if sum(int(lock["amount"]) for lock in locks if lock["days"] >= tier["lockDays"]) >= int(tier["stake"]):
            best = tier
    return best


def rate(params, seen, relay):
    """The terms of one relay up to its credit."""
    running = relay["running"]
    stake = sum(int(lock["amount"]) for lock in relay["locks"])
    tier = tier_of(params, relay["locks"])
    cap = min(UNLIMITED, stake * params["lambdaWeight"] * 1_000_000 // int(params["lambdaStake"]))
    t = {"stake": stake, "tier": tier and tier["name"], "factorBp": tier and tier["factorBp"], "cap": cap, "credit": 0,
         "weight": None, "base": None, "roleBp": None,
         "running": running, "exit": relay["exit"], "guard": relay["guard"]}
    if running:
        t["weight"] = relay["weight"] * 1_000_000 // running
        t["base"] = min(t["weight"], cap)
        t["roleBp"] = WHOLE + ((params["exitBp"] - WHOLE) * relay["exit"] +
                               (params["guardBp"] - WHOLE) * relay["guard"]) // running
        if tier:
            t["credit"] = t["base"] * running ** 2 * tier["factorBp"] * t["roleBp"] // seen ** 2
    return t


def parties(relays):
    """Flood from each relay over common operators and families: name -> lowest name of its party."""
    by_tie = defaultdict(set)
    for name, relay in relays.items():
        by_tie["operator", relay["operator"].lower()].add(name)
        if relay.get("family"):
            by_tie["family", relay["family"]].add(name)
    ties = defaultdict(list)
    for tie, names in by_tie.items():
        for name in names:
            ties[name].append(tie)
    found = {}
    for first in sorted(relays):
        todo = [] if first in found else [first]
        while todo:
            name = todo.pop()
            if name in found:
                continue
            found[name] = first
            for tie in ties[name]:
                todo.extend(by_tie.pop(tie, ()))
    return found


def dilute(relays, terms, limit):
    def cut(part, whole):
        return part * limit // whole if whole > limit else part

    networks, members = defaultdict(int), parties(relays)
    for name, relay in relays.items():
        networks[relay.get("network", "")] += terms[name]["credit"]
    networks[""] = 0
    sums = defaultdict(int)
    for name, t in terms.items():
        t["networkCredit"] = networks[relays[name].get("network", "")]
        t["spread"] = cut(t["credit"], t["networkCredit"])
        t["party"] = members[name]
        sums[t["party"]] += t["spread"]
    for t in terms.values():
        t["partyCredit"] = sums[t["party"]]
        t["counted"] = cut(t["spread"], t["partyCredit"])


def share(terms, budget):
    whole = sum(t["counted"] for t in terms.values())
    if whole == 0:
        for t in terms.values():
            t["due"] = 0
        return 0
    exact = {name: Fraction(budget * t["counted"], whole) for name, t in terms.items()}
    for name, t in terms.items():
        t["due"] = int(exact[name])
    left = budget - sum(t["due"] for t in terms.values())
    for name in sorted(terms, key=lambda n: (terms[n]["due"] - exact[n], n))[:left]:
        terms[name]["due"] += 1
    return budget


def excluded(t):
    if t["running"] == 0:
        return "no consensus of the epoch lists it as running"
    if t["stake"] == 0:
        return "no stake was locked for it at the epoch's end"
    if t["tier"] is None:
        return "its stake is below that of the lowest tier"
    if t["credit"] == 0:
        return "the authorities gave it no weight, or its stake carries none"
    return None


def compute(doc):
    params, relays = doc["params"], doc["relays"]
    terms = {name: rate(params, doc["consensuses"], relay) for name, relay in relays.items()}
    credit = sum(t["credit"] for t in terms.values())
    limit = credit * params["dilutionBp"] // WHOLE
    dilute(relays, terms, limit)
    budget = int(doc["reserve"]) * params["reserveRateBp"] * params["epochSeconds"] // (WHOLE * YEAR)
    total = share(terms, budget)
    counted = sum(t["counted"] for t in terms.values())
    for t in terms.values():
        t["excluded"] = excluded(t)
        for name in ("stake", "cap", "credit", "networkCredit", "spread", "partyCredit", "counted", "due", "weight", "base"):
            t[name] = None if t[name] is None else str(t[name])
    return {"budget": str(budget), "credit": str(credit), "limit": str(limit), "counted": str(counted),
            "total": str(total), "relays": terms}
