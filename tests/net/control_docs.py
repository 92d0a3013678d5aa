"""What nonos-control(7) says of the methods' answers, and whether an answer is like that."""

import os
import re

MAN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "contrib", "man", "nonos-control.7")
KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "text"}


def documented():
    """{method: {path: set of types}}; a type "?" marks a member that is there at times."""
    with open(MAN, encoding="utf-8") as f:
        body = f.read().split(".SH METHODS\n", 1)[1].split("\n.SH", 1)[0]
    methods = {}
    for name, text in re.findall(r"^\.TP\n\.B (\S+)\n(.*?)(?=^\.TP|\Z)", body + "\n", re.M | re.S):
        rows = re.search(r"^\.nf\n(.*?)^\.fi", text, re.M | re.S)
        lines = [line.split() for line in rows[1].splitlines()] if rows else []
        methods[name.replace("\\-", "-")] = {path.replace("\\-", "-"): set(kinds.split("|")) for path, kinds in lines}
    return methods


def events():
    """{topic: names of the members}, from events.def."""
    with open(os.path.join(os.path.dirname(MAN), "..", "..", "include", "nonos", "events.def"), encoding="utf-8") as f:
        return {t: set(m.split()) for t, m in re.findall(r'^EVENT\("([^"]+)", "([^"]+)"', f.read(), re.M)}


def flatten(value, path=""):
    """Pairs of path and type; an empty list is of the type "empty"."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from flatten(item, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        if not value:
            yield path + "[]", "empty"
        for item in value:
            yield from flatten(item, path + "[]")
    else:
        yield path, KINDS[type(value)]


def row_of(rows, path):
    """The row of a path; "x.*" is all below x, "*" all."""
    if path in rows:
        return path
    for row in rows:
        if row == "*" or (row.endswith(".*") and path.startswith(row[:-1])):
            return row
    return None


def differences(rows, answer):
    """Sentences about what is in one and not in the other."""
    seen, bare, found = set(), set(), []
    for path, kind in flatten(answer):
        row = row_of(rows, path)
        if kind == "empty" or (kind == "null" and row is None and any(r.startswith(path + ".") for r in rows)):
            bare.add(path)      # nothing below it can be seen
            if row is None and not any(r.startswith(path) for r in rows):
                found.append(f"{path} is not documented")
        elif row is None:
            found.append(f"{path} {kind} is not documented")
        elif kind not in rows[row] and "any" not in rows[row]:
            found.append(f"{path} is {kind}, documented as {'|'.join(sorted(rows[row]))}")
        seen.add(row)
    for row in rows:
        if row not in seen and "?" not in rows[row] and not any(row.startswith(b) for b in bare):
            found.append(f"{row} is documented and not there")
    return found
