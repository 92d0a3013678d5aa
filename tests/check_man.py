"""The manual pages say what the tables say: every option and command, its sentence, default and kind."""
import os
import re
import sys

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ROW = re.compile(r'OPTION\((\w+), (\w+), (\w+), ([\w]+), ([\w]+),\s*'
                 r'(NULL|(?:NONOS_LOCALSTATEDIR )?"[^"]*"), ([\w |]+),\s*"([^"]*)"\)')
COMMAND = re.compile(r'COMMAND\((\w+), "([\w.-]+)", (\w+), ([\w |]+),\s*"([^"]*)"\)')
EVENT = re.compile(r'EVENT\("([\w.]+)", "([\w ]+)",\s*"([^"]*)"\)')
ARG = re.compile(r'ARG\((\w+), "(\w+)", (\w+), (-?\w+), (\w+), ([\w |]+), "([^"]*)",\s*"([^"]*)"\)')
METRIC = re.compile(r'METRIC\((\w+), (counter|gauge|histogram), "([^"]*)", "([^"]*)"\)')
problems = []


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


def table(name, row, word):
    text = read("include", "nonos", name).split("*/", 1)[1]
    rows = row.findall(text)
    if len(rows) != len(re.findall(rf"^{word}\(", text, re.M)):
        problems.append(f"{name}: {text.count(word + '(')} rows, but this test reads {len(rows)}")
    return rows


def expect(where, body, sentence):
    if sentence not in body:
        problems.append(f"{where}: the manual lacks {sentence!r}")


def check_options():
    man = read("contrib", "man", "nonosd.conf.5")
    entries = dict(re.findall(r'^\.BI "(\w+) = " .*\n((?:(?!\.TP|\.S[SH]).*\n)*)', man, re.M))
    sections = re.findall(r"^\.SS \[(\w+)\]\n(.*?)(?=^\.S[SH])", man, re.M | re.S)
    for section, key, kind, low, high, default, flags, sentence in table("options.def", ROW, "OPTION"):
        body = entries.pop(key, None)
        if body is None:
            problems.append(f"{key}: not in nonosd.conf(5)")
            continue
        if not any(name == section and f'.BI "{key} = "' in text for name, text in sections):
            problems.append(f"{key}: not below [{section}]")
        expect(key, body, sentence)
        if default == "NULL":
            expect(key, body, "Required.")
        elif default.startswith("NONOS_LOCALSTATEDIR"):
            expect(key, body, "Default: /var" + default.split('"')[1] + ".")
        elif default != '""':
            expect(key, body, f"Default: {default[1:-1]}.")
        if ("OPT_LIVE" in flags) == ("Takes effect at the next start." in body):
            problems.append(f"{key}: the manual is wrong about reloading")
        if ("OPT_REPEAT" in flags) != ("May be given more than once." in body):
            problems.append(f"{key}: the manual is wrong about repeating")
    problems.extend(f"{key}: in nonosd.conf(5) but not an option" for key in entries)


def usage(words, args):
    """As command_usage() in src/control/commands.c."""
    parts = [words.replace(".", " ")]
    for positional in (True, False):
        for _, name, kind, low, high, flags, placeholder, _ in args:
            if ("ARG_POSITIONAL" in flags) != positional:
                continue
            text = [] if positional else ["--" + name.replace("_", "-")]
            if kind != "FLAG":
                text.append(placeholder + ("..." if "ARG_REPEAT" in flags else ""))
            text = " ".join(text)
            parts.append(text if "ARG_REQUIRED" in flags else f"[{text}]")
    return " ".join(parts)


def plain(text):
    """What is left of roff without fonts and escapes."""
    return re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-").replace("\\(en", "-")


def check_commands():
    man = read("contrib", "man", "nonosctl.1")
    sections = {"DAEMON": "COMMANDS TO THE DAEMON", "LOCAL": "COMMANDS OF ITS OWN"}
    entries = {}
    for where, title in sections.items():
        body = man.split(f".SH {title}\n", 1)[1].split("\n.SH", 1)[0] + "\n"
        for head, text in re.findall(r"^\.TP\n\.B (.*)\n((?:(?!\.TP).*\n)*)", body, re.M):
            key = where, plain(head).strip('"')
            if key in entries:
                problems.append(f"{key[1]}: twice in nonosctl(1)")
            entries[key] = text
    args = table("commands.def", ARG, "ARG")
    commands = table("commands.def", COMMAND, "COMMAND")
    # A head of several words in the middle of another entry lacks its .TP.
    heads = {".B " + usage(words, [a for a in args if a[0] == name]) for name, words, *_ in commands if "." in words}
    strays = set()
    for name, words, where, flags, sentence in commands:
        if "CMD_PROTOCOL" in flags:
            continue
        own = [a for a in args if a[0] == name]
        text = entries.pop((where, usage(words, own)), None)
        if text is None:
            problems.append(f"{words}: nonosctl(1) has no entry {usage(words, own)!r} among those of {where}")
            continue
        expect(words, text, sentence)
        strays |= heads.intersection(plain(text).splitlines())
    problems.extend(f"{head[3:]}: in nonosctl(1) without .TP before it" for head in strays)
    problems.extend(f"{head}: in nonosctl(1) but not a command of {where}" for where, head in entries)


def check_metrics():
    rows = table("metrics.def", METRIC, "METRIC")
    body = read("contrib", "man", "nonos-metrics.7").split(".SH METRICS", 1)[1].split(".SH", 1)[0]
    entries = dict(re.findall(r"^\.TP\n\.B (\w+)\n((?:(?!\.TP).*\n)*)", body, re.M))
    for name, kind, labels, sentence in rows:
        text = entries.pop(name, None)
        if text is None:
            problems.append(f"{name}: not in nonos-metrics(7)")
            continue
        expect(name, text, sentence)
        expect(name, text, f"A {kind}" + (", by " + labels.replace(",", ", ") if labels else "") + ".\n")
        if (kind == "counter") != name.endswith("_total"):
            problems.append(f"{name}: a counter's name ends in _total, and no other's")
    problems.extend(f"{name}: in nonos-metrics(7) but not a metric" for name in entries)


def check_events():
    man = read("contrib", "man", "nonos-control.7")
    body = man.split(".SH EVENTS\n", 1)[1].split("\n.SH", 1)[0] + "\n"
    entries = {plain(head): text for head, text in re.findall(r"^\.TP\n\.B (.*)\n((?:(?!\.TP).*\n)*)", body, re.M)}
    for topic, members, sentence in table("events.def", EVENT, "EVENT"):
        text = entries.pop(topic, None)
        if text is None:
            problems.append(f"{topic}: not among the events of nonos-control(7)")
            continue
        expect(topic, text, sentence)
        expect(topic, text, f"Members: {', '.join(members.split())}.")
    problems.extend(f"{topic}: in nonos-control(7) but no event" for topic in entries)


def parameters(flags, args):
    """The line that nonos-control(7) has of a method's parameters."""
    kinds = {"DURATION": "seconds", "FLAG": "boolean", "HEX": "hexadecimal", "FILE": "text", "DIR": "text"}
    parts = []
    for _, name, kind, low, high, own, placeholder, _ in args:
        if "ARG_LOCAL" in own:
            continue
        text = placeholder if kind == "CHOICE" else kinds.get(kind, kind.lower())
        text += " list" if "ARG_REPEAT" in own else ""
        parts.append(f"{name} ({text}{', required' if 'ARG_REQUIRED' in own else ''})")
    if "CMD_CHANGES" in flags:
        parts.append("dry_run (boolean)")
    return f"Parameters: {', '.join(parts) or 'none'}."


def check_methods():
    man = read("contrib", "man", "nonos-control.7")
    body = man.split(".SH METHODS\n", 1)[1].split("\n.SH", 1)[0] + "\n"
    entries = {plain(head): text for head, text in re.findall(r"^\.TP\n\.B (.*)\n((?:(?!\.TP).*\n)*)", body, re.M)}
    args = table("commands.def", ARG, "ARG")
    for name, words, where, flags, sentence in table("commands.def", COMMAND, "COMMAND"):
        if where != "DAEMON":
            continue
        line = parameters(flags, [a for a in args if a[0] == name])
        text = entries.pop(words, None)
        if text is None:
            problems.append(f"{words}: not among the methods of nonos-control(7); begin with\n"
                            f".TP\n.B {words}\n{sentence}\n{line}")
            continue
        expect(words, plain(text), sentence)
        expect(words, plain(text), line)
    problems.extend(f"{words}: in nonos-control(7) but no method" for words in entries)


check_options()
check_commands()
check_methods()
check_events()
check_metrics()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
