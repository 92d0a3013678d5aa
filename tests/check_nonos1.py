"""nonosctl rewards compute against tests/nonos1.py: a vector and random epochs, every term of every relay."""
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import nonos1  # noqa: E402

CTL = os.environ.get("NONOSCTL", "./nonosctl")
ROUNDS = int(os.environ.get("NONOS1_ROUNDS", "150"))
VECTORS = os.environ.get("TEST_VECTORS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors"))
TOKEN = 10 ** 18
USUAL = {
    "epochSeconds": 3600, "reserveRateBp": 1400, "lambdaWeight": 10, "lambdaStake": str(TOKEN), "dilutionBp": 500,
    "guardBp": 11000, "exitBp": 12500,
    "tiers": [{"name": name, "stake": str(stake * TOKEN), "lockDays": days, "factorBp": factor} for name, stake, days, factor in
              (("Bronze", 1000, 0, 10000), ("Silver", 10000, 30, 12000), ("Gold", 50000, 90, 15000),
               ("Platinum", 200000, 180, 20000), ("Diamond", 1000000, 365, 30000))],
}


def some_params(r):
    if r.random() < 0.6:
        return USUAL
    tiers, stake, days, factor = [], 0, 0, r.choice((0, 1, 10000))
    for i in range(r.randint(1, 16)):
        stake += r.randint(1, 10 ** r.randint(1, 25))
        days += r.choice((0, 0, 1, 30))
        factor = min(100000, factor + r.choice((0, 1, 2500)))
        tiers.append({"name": f"t{i}", "stake": str(stake), "lockDays": days, "factorBp": factor})
    return {"epochSeconds": r.randint(1, 86400), "reserveRateBp": r.randint(0, 10000), "lambdaWeight": r.randint(1, 2 ** 30),
            "lambdaStake": str(r.randint(1, 10 ** r.randint(18, 30))), "dilutionBp": r.randint(1, 10000),
            "guardBp": r.randint(10000, 100000), "exitBp": r.randint(10000, 100000), "tiers": tiers}


def some_lock(r):
    top = r.choice((10 ** 3, 10 ** 4, 10 ** 6))
    return {"amount": str(r.choice((r.randint(0, top) * TOKEN, r.randint(0, 10 ** 24), 1000 * TOKEN, 1000 * TOKEN - 1))),
            "days": r.choice((0, 0, 29, 30, 90, 180, 365, 1000))}


def some_relay(r, seen, spread):
    running = r.choice((0, seen, seen, r.randint(0, seen)))
    exits = r.choice((0, running, r.randint(0, running)))
    biggest = r.choice((1, 20, 10 ** 5, 2 ** 40))
    return {"operator": f"0x{r.randint(1, spread):040x}", "payout": f"0x{r.randint(1, spread):040x}",
            "family": r.choice(("", f"{r.randint(1, spread):040x}")), "network": f"10.{r.randint(1, spread)}.0.0/16",
            "running": running, "exit": exits, "guard": r.randint(0, running - exits),
            "weight": sum(r.randint(0, biggest) for _ in range(running)),
            "locks": [some_lock(r) for _ in range(r.choice((0, 1, 1, 2, 4)))]}


def some_epoch(seed):
    r = random.Random(seed)
    seen, spread = 0 if seed % 15 == 7 else r.choice((1, 3, 12, 24, 4096 if seed % 20 == 0 else 6)), r.choice((1, 3, 50, 5000))
    n = 0 if seed % 25 == 3 else r.choice((1, 2, 5, 30, 120))
    return {"policy": "nonos-1", "params": some_params(r), "reserve": str(r.choice((1, r.randint(0, 10 ** 9), r.randint(0, 240 * 10 ** 24)))),
            "consensuses": seen, "relays": {f"{r.getrandbits(256):064x}": some_relay(r, seen, spread) for _ in range(n)}}


def run(doc):
    r = subprocess.run([CTL, "rewards", "compute", "-", "--json"], input=json.dumps(doc), capture_output=True, text=True,
                       timeout=60)
    return json.loads(r.stdout) if r.returncode == 0 else r.stderr


def main():
    paid = 0
    with open(os.path.join(VECTORS, "nonos1-rewards.json"), encoding="utf-8") as f:
        vector = json.load(f)
    if run(vector) != vector["expect"] or nonos1.compute(vector) != vector["expect"]:
        print("nonos1-rewards.json: not what the vector expects")
        return 1
    for seed in range(ROUNDS):
        doc = some_epoch(seed)
        ours, theirs = run(doc), nonos1.compute(doc)
        if ours != theirs:
            print(f"epoch {seed} of {len(doc['relays'])} relays differs")
            if isinstance(ours, str):
                print(ours)
                return 1
            for name in (n for n in ours if n != "relays" and ours[n] != theirs[n]):
                print(f"  {name}: {ours[name]}, second implementation {theirs[name]}")
            for relay in ours["relays"]:
                for term, value in ours["relays"][relay].items():
                    if value != theirs["relays"][relay][term]:
                        print(f"  {relay} {term}: {value}, second implementation {theirs['relays'][relay][term]}")
            return 1
        paid += ours["total"] != "0"
    if paid < ROUNDS // 4:
        print(f"only {paid} of {ROUNDS} epochs paid anything: the comparison says little")
        return 1
    print(f"{ROUNDS} epochs agree in every term, {paid} of them paid")
    return 0


sys.exit(main())
