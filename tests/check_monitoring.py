"""Grafana dashboard and alert rules in contrib/ speak of metrics and labels that metrics.def has, and
promtool, where it is installed, finds no fault with them."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
RULES = os.path.join(TOP, "contrib", "prometheus", "nonosd.rules.yml")
RULES_TEST = os.path.join(TOP, "contrib", "prometheus", "nonosd.rules.test.yml")
DASHBOARD = os.path.join(TOP, "contrib", "grafana", "nonosd.json")
METRIC = re.compile(r'^METRIC\((\w+), (counter|gauge|histogram), "([^"]*)"', re.M)
USE = re.compile(r'\b(nonos_\w+)(?:\{([^{}]*)\})?')
SCRAPED = {"job", "instance"}       # what Prometheus adds
problems = []


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def samples_of():
    """{name of a sample: labels that it may have}"""
    names = {}
    for name, kind, labels in METRIC.findall(read(os.path.join(TOP, "include", "nonos", "metrics.def"))):
        have = SCRAPED | set(filter(None, labels.split(",")))
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            names[name + suffix] = have - ({"le"} if suffix in ("_sum", "_count") else set())
    return names


def check_names(where, text, names):
    labels = set(SCRAPED)
    for name, matchers in USE.findall(text):
        if name not in names:
            problems.append(f"{where}: {name} is not in metrics.def")
            continue
        labels |= names[name]
        for label in re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', matchers):
            if label not in names[name]:
                problems.append(f"{where}: {name} has no label {label}")
    for by in re.findall(r"\b(?:by|on) \(([^)]*)\)", text):
        for label in filter(None, re.split(r",\s*", by)):
            if label not in labels:
                problems.append(f"{where}: nothing in it has the label {label}")


def panels_of(dashboard):
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", ())


def check_dashboard(names):
    """Returns its expressions, as they are once Grafana has filled them in."""
    dashboard = json.loads(read(DASHBOARD))
    found, ids = [], []
    for panel in panels_of(dashboard):
        ids.append(panel["id"])
        if panel["type"] != "row" and not (panel["targets"] and panel["description"]):
            problems.append(f"{panel['title']}: no query or no description")
        for target in panel.get("targets", ()):
            found.append((panel["title"], target["expr"]))
    if len(ids) != len(set(ids)):
        problems.append("two panels have one id")
    found += [(a["name"], a["expr"]) for a in dashboard["annotations"]["list"]]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            check_names(variable["name"], variable["definition"], names)
    for title, text in found:
        check_names(title, text, names)
    if len(found) < 30:
        problems.append(f"this test finds only {len(found)} queries in the dashboard")
    return [text.replace("$__rate_interval", "5m").replace("$job", "x").replace("$instance", "x")
            for _, text in found]


def check_rules(names):
    """Each alert says what to do, and has a test in which it comes and one in which it does not."""
    blocks = re.split(r"^ +- alert: ", read(RULES), flags=re.M)[1:]
    tests = re.findall(r"alertname: (\w+)\n +exp_alerts:( \[\])?", read(RULES_TEST))
    for block in blocks:
        name = block.split("\n", 1)[0]
        check_names(name, re.search(r"expr: (.*)", block)[1], names)
        for need in (r"severity: (critical|warning|info)\n", r'summary: ".{20,}"', r'action: ".{20,}"'):
            if not re.search(need, block):
                problems.append(f"{name}: nothing like {need}")
        for nothing in ("", " []"):
            if (name, nothing) not in tests:
                problems.append(f"{name}: no test in which it {'stays away' if nothing else 'comes'}")
    check_names("rule tests", read(RULES_TEST), names)
    if len(blocks) < 10:
        problems.append(f"this test finds only {len(blocks)} alerts")


def promtool(*args):
    run = subprocess.run(["promtool", *args], capture_output=True, text=True, timeout=120, check=False)
    if run.returncode:
        problems.append("promtool " + " ".join(args) + ":\n" + run.stdout + run.stderr)


def check_expressions(expressions):
    """As rules, which is all that promtool parses."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml") as f:
        f.write("groups:\n- name: all\n  rules:\n")
        for i, text in enumerate(expressions):
            f.write(f"  - record: r{i}\n    expr: {json.dumps(text)}\n")
        f.flush()
        promtool("check", "rules", f.name)


def main():
    names = samples_of()
    expressions = check_dashboard(names)
    check_rules(names)
    if shutil.which("promtool"):
        promtool("check", "rules", RULES)
        promtool("test", "rules", RULES_TEST)
        check_expressions(expressions)
    else:
        print("promtool is not installed; its part is left out")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


sys.exit(main())
