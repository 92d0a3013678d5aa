"""The manual pages say what the tables say: every option and command, its sentence, default and kind."""
import os
import re
import sys

TOP = os.environ.get("TOP_SRCDIR") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ROW = re.compile(r'OPTION\((\w+), (\w+), (\w+), ([\w]+), ([\w]+),\s*'
                 r'(NULL|(?:NONOS_LOCALSTATEDIR )?"[^"]*"), ([\w |]+),\s*"([^"]*)"\)')
COMMAND = re.compile(r'COMMAND\("([\w.]+)", (\w+), (\w+), "([^"]*)"\)')
LOCAL = re.compile(r'LOCAL_COMMAND\("([\w.]+)", (\w+), ([\w |]+), "([^"]*)"\)')
problems = []


def read(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as f:
        return f.read()


def table(name, row, word):
    text = read("include", "nonos", name).split("*/", 1)[1]
    rows = row.findall(text)
    if len(rows) != text.count(word + "("):
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


def check_commands():
    man = read("contrib", "man", "nonosctl.1")
    body = man.split(".SH COMMANDS", 1)[1].split(".SH", 1)[0]
    entries = dict(re.findall(r"^\.TP\n\.B ([\w.]+)\n((?:(?!\.TP).*\n)*)", body, re.M))
    dry_run = re.search(r"dry\\-run\nWith (.*):", man).group(1)
    for method, name, flags, sentence in table("commands.def", COMMAND, "COMMAND"):
        text = entries.pop(method, None)
        if text is None:
            problems.append(f"{method}: not in nonosctl(1)")
            continue
        expect(method, text, sentence)
        if (flags == "CTL_CHANGES") != (method in re.split(r", | and ", dry_run)):
            problems.append(f"{method}: the manual is wrong about --dry-run")
    problems.extend(f"{method}: in nonosctl(1) but not a command" for method in entries)


def check_local_commands():
    man = read("contrib", "man", "nonosctl.1")
    body = man.split(".SH OFFLINE COMMANDS", 1)[1].split(".SH", 1)[0]
    entries = dict(re.findall(r'^\.TP\n\.BI "([a-z ]+) " FILE.*\n((?:(?!\.TP).*\n)*)', body, re.M))
    for words, name, takes, sentence in table("local_commands.def", LOCAL, "LOCAL_COMMAND"):
        text = entries.pop(words.replace(".", " "), None)
        if text is None:
            problems.append(f"{words}: not among the offline commands of nonosctl(1)")
            continue
        expect(words, text, sentence)
        for option in re.findall(r"TAKES_(\w+)", takes):
            expect(words, text.replace("\\-", "-"), "--" + option.lower().replace("_", "-"))
    problems.extend(f"{words}: in nonosctl(1) but not a command" for words in entries)


check_options()
check_commands()
check_local_commands()
for problem in problems:
    print(problem)
sys.exit(1 if problems else 0)
