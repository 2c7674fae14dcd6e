#!/usr/bin/env python3
"""Turns Bindplane's reference into data that tests compare its description with.

    bindplane.py SEEDS            writes the files under bindplane/
    bindplane.py --check SEEDS    writes nothing; exits 1 if a file differs

SEEDS is the folder that holds `000_*.txt`. The reference is a list of calls, with three samples.
"""

import glob
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CALL = re.compile(r"^\* (?P<summary>.+?) - `(?P<method>[A-Z]+) (?P<path>/\S+)`$")
STATUS = re.compile(r"^\* `(?P<status>\d+) (?P<word>[^`]+)` - (?P<meaning>.+)$")


def build(folder):
    found = glob.glob(os.path.join(folder, "000_*.txt"))
    if len(found) != 1:
        sys.exit("expected one file 000_*.txt, found %d" % len(found))
    with open(found[0], encoding="utf-8") as f:
        lines = f.read().split("\n")
    endpoints, statuses, examples, section, block = [], [], [], None, None
    for number, line in enumerate(lines, 1):
        if block is not None:
            if line == "```":
                text = "\n".join(block["lines"])
                try:
                    value = json.loads(text)
                except ValueError:
                    value = None
                examples.append({"id": "%s-%d" % (block["section"], number), "line": block["line"],
                                 "language": block["language"], "json": value, "text": text})
                block = None
            else:
                block["lines"].append(line)
            continue
        if line.startswith("# Agent Instructions"):
            break
        if line.startswith("```"):
            block = {"line": number + 1, "language": line[3:], "lines": [],
                     "section": re.sub(r"\W+", "-", section or "").lower().strip("-")}
        elif line.startswith("#"):
            section = line.lstrip("# ")
        elif CALL.match(line):
            call = CALL.match(line)
            endpoints.append({"endpoint": "%s %s" % (call["method"], call["path"]), "line": number,
                              "section": section, "summary": call["summary"]})
        elif STATUS.match(line):
            status = STATUS.match(line)
            statuses.append({"status": int(status["status"]), "meaning": status["meaning"], "line": number})
    one_a_line = lambda rows: "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n"
    table = ["# Examples of Bindplane's reference", "", "Written by `bindplane.py`; don't edit. The place is the seed's "
             "number and the line.", "", "| id | what | place |", "|---|---|---|"]
    for one in examples:
        what = "JSON" if one["json"] is not None else "a command"
        table.append("| `%s` | %s | 000:%d |" % (one["id"], what, one["line"]))
    return {
        "bindplane/endpoints.json": one_a_line(endpoints),
        "bindplane/statuses.json": one_a_line(statuses),
        "bindplane/examples.json": json.dumps(examples, indent=2) + "\n",
        "bindplane/EXAMPLES.md": "\n".join(table) + "\n",
    }


def main(args):
    check = "--check" in args
    args = [arg for arg in args if arg != "--check"]
    if len(args) != 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    stale = 0
    for name, text in build(args[0]).items():
        path = os.path.join(HERE, *name.split("/"))
        if check:
            try:
                with open(path, encoding="utf-8") as f:
                    same = f.read() == text
            except OSError:
                same = False
            if not same:
                print("differs: %s" % name)
                stale = 1
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8", newline="\n") as f:
                f.write(text)
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
