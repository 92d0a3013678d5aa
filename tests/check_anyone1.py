"""nonosctl rewards compute against a second implementation of the policy anyone-1: the vector and random rounds.

The doubles here are Python's, and the powers come from decimal arithmetic of 150 digits (vectors/gen_pow.py).
"""
import functools
import json
import math
import os
import random
import subprocess
import sys

VECTORS = os.environ.get("TEST_VECTORS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors"))
sys.path.insert(0, VECTORS)
sys.dont_write_bytecode = True
import gen_pow  # noqa: E402

CTL = os.environ.get("NONOSCTL", "./nonosctl")
ROUNDS = int(os.environ.get("ANYONE1_ROUNDS", "60"))
power = functools.lru_cache(maxsize=None)(gen_pow.power)


class OutOfRange(Exception):
    pass


def scale(score, multiplier):
    v = float(score) * (0.0 if multiplier < 0 else multiplier)
    if not 0 <= v < 2.0 ** 53:
        raise OutOfRange
    return math.floor(v)


def rate(score, multipliers):
    rating, family, location = score["Network"], multipliers.get("Family", {}), multipliers.get("Location", {})
    if family.get("Enabled"):
        rating = scale(rating, 1 + family["Offset"] * power(float(score["FamilySize"]), float(family["Power"])))
    if location.get("Enabled"):
        size = score["LocationSize"] / location["Divider"]
        rating = scale(rating, 1 - location["Offset"] * power(size, float(location["Power"])))
    return rating


def part(pool, of, whole):
    return pool * of // whole if whole else 0


def thousandths(modifier, name="Share"):
    return math.floor(modifier[name] * 1000) if modifier and modifier.get("Enabled", True) else 0


def compute(doc):
    config, scores, seconds = doc["config"], doc["scores"], doc["elapsedMs"] // 1000
    m, rate_s = config["Modifiers"], int(config["TokensPerSecond"])
    hardware, uptime, leave = m.get("Hardware"), m.get("Uptime"), m.get("ExitBonus")
    pools = {name: rate_s * thousandths(m.get(name)) // 1000 * seconds for name in ("Network", "Hardware", "Uptime", "ExitBonus")}
    tiers = uptime["Tiers"] if uptime and uptime["Enabled"] else {}
    ids = sorted(scores)
    rating = {i: rate(scores[i], config["Multipliers"]) for i in ids}
    weight = {i: float(max([0] + [w for days, w in tiers.items() if int(days) <= scores[i]["UptimeStreak"]])) for i in ids}
    total_weight = 0.0
    for i in ids:
        total_weight += weight[i]
    out = {}
    for i in ids:
        share = math.floor(weight[i] / total_weight * 100000) if total_weight > 0 else 0
        out[i] = {"Network": part(pools["Network"], rating[i], sum(rating.values())), "Uptime": pools["Uptime"] * share // 100000}
    by_uptime = pools["Hardware"] * (thousandths(hardware, "UptimeInfluence") if tiers or (uptime and uptime["Enabled"]) else 0) // 1000
    with_hardware = [i for i in ids if scores[i]["IsHardware"]]
    for i in ids:
        o, due = out[i], 0
        if i in with_hardware:
            due = part(pools["Hardware"] - by_uptime, o["Network"], sum(out[j]["Network"] for j in with_hardware))
            due += part(by_uptime, o["Uptime"], sum(out[j]["Uptime"] for j in with_hardware))
        o["Hardware"] = due
        exits = sum(rating[j] for j in ids if scores[j]["ExitBonus"])
        o["ExitBonus"] = part(pools["ExitBonus"], rating[i] if scores[i]["ExitBonus"] else 0, exits) if leave else 0
        o["Total"] = o["Network"] + o["Hardware"] + o["Uptime"] + o["ExitBonus"]
        delegate = (config.get("Delegates") or {}).get(scores[i]["Address"])
        o["DelegateTotal"] = o["Total"] * thousandths(delegate) // 1000
        o["OperatorTotal"] = o["Total"] - o["DelegateTotal"]
    total = sum(o["Total"] for o in out.values())
    relays = {i: {**{k: str(v) for k, v in o.items()}, "NetworkRating": rating[i]} for i, o in out.items()}
    return {"seconds": seconds, "total": str(total), "relays": relays}


# -- random rounds ------------------------------------------------------------------------


def some_shares(r):
    """Four that are at most 1 together, of few digits or of many."""
    cuts = sorted(r.random() for _ in range(4))
    shares = [b - a for a, b in zip([0, *cuts], cuts)]
    return [round(s, 3) if r.random() < 0.5 and sum(round(s, 3) for s in shares) <= 1 else s for s in shares]


def some_config(r, operators):
    network, hardware, uptime, leave = some_shares(r)
    modifiers = {"Network": {"Share": network}}
    if r.random() < 0.8:
        modifiers["Hardware"] = {"Enabled": r.random() < 0.9, "Share": hardware, "UptimeInfluence": r.choice((0, 0.35, r.random(), 1))}
    if r.random() < 0.8:
        tiers = {str(r.choice((0, 3, 14, r.randrange(400)))): r.choice((0, 1, 3, 0.1, r.random() * 10)) for _ in range(r.randrange(6))}
        modifiers["Uptime"] = {"Enabled": r.random() < 0.9, "Share": uptime, "Tiers": tiers}
    if r.random() < 0.8:
        modifiers["ExitBonus"] = {"Enabled": True, "Share": leave}
    multipliers = {}
    if r.random() < 0.9:
        multipliers["Family"] = {"Enabled": True, "Offset": r.choice((0.02, -0.01, 1, r.uniform(-1, 1))),
                                 "Power": r.choice((0.7, 0.5, 2, 0, r.random() * 3, 100 if r.random() < 0.1 else 1.5))}
    if r.random() < 0.9:
        multipliers["Location"] = {"Enabled": True, "Offset": r.choice((0.001, 0, r.random() / 100)), "Power": r.choice((1.85, 0.5, r.random() * 4)),
                                   "Divider": r.choice((20, 1, 3.7, 1 + r.random() * 100))}
    delegates = {a: {"Address": f"0x{r.getrandbits(160):040x}", "Share": r.choice((0.1, 1, r.random()))} for a in operators if r.random() < 0.2}
    return {"TokensPerSecond": str(r.randrange(10 ** r.randrange(1, 22))), "Multipliers": multipliers, "Modifiers": modifiers, "Delegates": delegates}


def some_round(seed):
    r = random.Random(seed)
    operators = [f"0x{r.getrandbits(160):040x}" for _ in range(r.choice((1, 3, 20)))]
    scores = {}
    for _ in range(r.choice((0, 1, 3, 30, 120))):
        scores[f"{r.getrandbits(160):040X}"] = {
            "Address": r.choice(operators), "Network": r.randrange(10 ** r.randrange(1, 8)), "IsHardware": r.random() < 0.3,
            "UptimeStreak": r.choice((0, 1, 3, 14, r.randrange(500))), "ExitBonus": r.random() < 0.3,
            "FamilySize": r.randrange(r.choice((1, 10, 400))), "LocationSize": r.randrange(r.choice((1, 30, 900)))}
    return {"config": some_config(r, operators), "elapsedMs": r.randrange(10 ** r.randrange(3, 8)), "scores": scores}


def run(doc):
    r = subprocess.run([CTL, "rewards", "compute", "-", "--json"], input=json.dumps(doc), capture_output=True, text=True, timeout=60)
    return json.loads(r.stdout) if r.returncode == 0 else r.stderr


def main():
    with open(os.path.join(VECTORS, "anyone-rewards.json"), encoding="utf-8") as f:
        vector = json.load(f)
    if run(vector) != vector["expect"] or compute(vector) != vector["expect"]:
        print("anyone-rewards.json: not what the vector expects")
        return 1
    paid = refused = 0
    for seed in range(ROUNDS):
        doc = some_round(seed)
        ours = run(doc)
        try:
            theirs = compute(doc)
        except OutOfRange:
            refused += isinstance(ours, str) and "range" in ours
            theirs = ours if isinstance(ours, str) and "range" in ours else None
        if ours != theirs:
            print(f"round {seed}: {str(ours)[:200]}, second implementation {str(theirs)[:200]}")
            return 1
        paid += not isinstance(ours, str) and ours["total"] != "0"
    if paid < ROUNDS // 4:
        print(f"only {paid} of {ROUNDS} rounds paid anything: the comparison says little")
        return 1
    with open(os.path.join(VECTORS, "pow.json"), encoding="utf-8") as f:
        cases = json.load(f)["cases"]
    for x, y, result in random.Random(ROUNDS).sample(cases, 400):
        if gen_pow.bits(gen_pow.power(gen_pow.double(x), gen_pow.double(y))) != result:
            print(f"pow.json: {x} ^ {y} is not {result}")
            return 1
    print(f"{ROUNDS} rounds agree in every unit, {paid} of them paid, {refused} were refused as out of range")
    return 0


sys.exit(main())
