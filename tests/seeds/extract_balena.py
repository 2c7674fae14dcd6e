#!/usr/bin/env python3
"""Turns balena's overview into data that tests compare the OData dialect and the API description with.

    extract_balena.py SEEDS            writes the files next to this script
    extract_balena.py --check SEEDS    writes nothing; exits 1 if a file differs

SEEDS is the folder that holds `001_*.txt`. The overview prints requests only: as commands, in shell quotes. It has no
tables of fields, so `balena/fields.json` is written by hand from what was observed of the public server.
"""

import glob
import json
import os
import re
import sys
from urllib.parse import unquote

HERE = os.path.dirname(os.path.abspath(__file__))
URL = re.compile(r'"\{\{ \$links\.apiBase \}\}(/v7/[^"]*)"')


def options(query):
    """Query options; a `&` within parentheses belongs to the option before it."""
    found = []
    for part in re.split(r"&(?=\$)", query):
        if part:
            name, value = part.split("=", 1)
            found.append([name, unquote(value)])
    return found


def examples(lines):
    out = []
    method = None
    for number, line in enumerate(lines, 1):
        if line.startswith("curl -X "):
            method = line.split()[2]
        match = URL.search(line)
        if not match:
            continue
        text = match.group(1).replace("\\$", "$")
        path, _, query = text.partition("?")
        out.append({"line": number, "method": method, "path": unquote(path), "query": options(query), "text": text})
    return out


def endpoints(found):
    out = {}
    for example in found:
        name = example["path"].removeprefix("/v7/").split("(")[0]
        entry = out.setdefault(name, {"set": name, "methods": [], "lines": []})
        if example["method"] not in entry["methods"]:
            entry["methods"].append(example["method"])
        entry["lines"].append(example["line"])
    return list(out.values())


def table(found):
    rows = ["# Requests that balena's overview prints", "", "Written by `extract_balena.py`; don't edit.", "",
            "| line | request | options |", "|---|---|---|"]
    for example in found:
        given = "<br>".join(f"`{name}={value}`" for name, value in example["query"])
        rows.append(f"| 001:{example['line']} | `{example['method']} {example['path']}` | {given} |")
    return "\n".join(rows) + "\n"


def main():
    check = "--check" in sys.argv
    folder = [word for word in sys.argv[1:] if not word.startswith("-")]
    if len(folder) != 1:
        sys.exit(__doc__)
    files = glob.glob(os.path.join(folder[0], "001_*.txt"))
    if len(files) != 1:
        sys.exit(f"{folder[0]} has no `001_*.txt`")
    with open(files[0], encoding="utf-8") as file:
        lines = file.read().split("\n")
    found = examples(lines)
    commands = sum(line.startswith("curl ") for line in lines)
    if len(found) != commands:
        print(f"{commands} commands, {len(found)} of them understood", file=sys.stderr)
        sys.exit(2)
    written = {
        "balena/endpoints.json": json.dumps(endpoints(found), indent=1) + "\n",
        "balena/examples.json": json.dumps(found, indent=1) + "\n",
        "balena/EXAMPLES.md": table(found),
    }
    differs = False
    for name, text in written.items():
        path = os.path.join(HERE, name)
        old = open(path, encoding="utf-8").read() if os.path.exists(path) else None
        if old != text:
            differs = True
            if check:
                print(f"{name} is stale")
            else:
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
    sys.exit(1 if check and differs else 0)


main()
