#!/usr/bin/env python3
"""Turns Cycloid's reference into data that tests compare the API description with.

    extract_cycloid.py SEEDS            writes the files next to this script
    extract_cycloid.py --check SEEDS    writes nothing; exits 1 if a file differs

SEEDS is the folder that holds `003_*.txt`. The page was saved with its objects and lists closed: samples show them
empty, and the tables of bodies lack the names of members that are objects or lists. Those names are taken from the
sample of the same body, in its order. Neither methods nor paths are printed.
"""

import glob
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
PARTS = {"path Parameters": "path", "query Parameters": "query", "header Parameters": "header"}
BODY = "Request Body schema:"
TYPE = re.compile(r"^(Array of|any$|boolean|integer|number|object|string)")


def names_of_operations(lines):
    """Operations stand between blank lines, in camelCase, followed by a description."""
    found = []
    for number, line in enumerate(lines):
        if re.fullmatch(r"[a-z][a-z]+(?:[A-Z0-9][A-Za-z0-9]*)+", line) and not lines[number - 1] and not lines[number + 1]:
            found.append(number)
    return found


def table(lines, start, end):
    """One table of parameters: names, `required`, types and descriptions, line by line."""
    rows, row, number = [], None, start
    while number < end:
        line = lines[number]
        ahead = [text for text in lines[number + 1:number + 3]]
        is_type = bool(TYPE.match(line))
        if is_type and (row is None or "type" in row):
            row = {"name": None, "required": False}
            rows.append(row)
        if is_type:
            row["type"] = line
            row["line"] = number + 1
        elif line == "required" and ahead and TYPE.match(ahead[0]):
            if row is None or "type" in row:
                row = {"name": None}
                rows.append(row)
            row["required"] = True
        elif re.fullmatch(r"[a-z][a-z0-9_]*", line) and ahead and (
            TYPE.match(ahead[0]) or (ahead[0] == "required" and len(ahead) > 1 and TYPE.match(ahead[1]))
        ):
            row = {"name": line, "required": False}
            rows.append(row)
        elif re.match(r"^(Enum|Items Enum|Value|Items Value|Default): ", line) and row:
            word, rest = line.split(": ", 1)
            values = re.findall(r'"([^"]*)"', rest) or [rest]
            row["default" if word == "Default" else "enum"] = values[0] if word == "Default" else values
        elif line and row and "type" in row:
            row["description"] = (row.get("description", "") + " " + line).strip()
        number += 1
    return [row for row in rows if "type" in row]


def sample(lines, start, end):
    """The JSON after a `Content type` line, its closed objects and lists empty."""
    text = []
    for line in lines[start:end]:
        if not text and line not in ("{", "[", "{}", "[]") and not line.startswith('"'):
            continue
        text.append(line.replace("•", ""))
        try:
            return json.loads("\n".join(text)), start + 1
        except ValueError:
            continue
    return None, start + 1


def operation(lines, start, end, section):
    name = lines[start]
    out = {"operation": name, "section": section, "line": start + 1, "authorized": False}
    out.update({"path": [], "query": [], "header": [], "body": [], "request": None, "response": None})
    marks = []
    for number in range(start, end):
        line = lines[number]
        if line == "Authorizations:":
            out["authorized"] = True
        if line in PARTS or line == BODY or line in ("Responses", "Request samples", "Response samples"):
            marks.append((number, line))
    marks.append((end, ""))
    stop = marks[0][0]
    out["description"] = " ".join(line for line in lines[start + 1:stop] if line and line != "Authorizations:"
                                  and not line.startswith("api_key"))
    for (number, word), (after, _) in zip(marks, marks[1:]):
        if word in PARTS:
            out[PARTS[word]] = table(lines, number + 1, after)
        elif word == BODY:
            out["bodyType"] = next((text for text in lines[number + 1:number + 2] if "/" in text), None)
            out["body"] = table(lines, number + 2, after)
        elif word == "Request samples":
            out["request"], _ = sample(lines, number + 1, after)
        elif word == "Response samples":
            out["response"], out["responseLine"] = sample(lines, number + 1, after)
    fill_names(out)
    return out


def fill_names(out):
    """Names that the tables lack are those of the sample that no row has, in its order."""
    shown = out["request"]
    if not isinstance(shown, dict):
        return
    known = {row["name"] for row in out["body"]}
    missing = [name for name in shown if name not in known]
    for row in out["body"]:
        if row["name"] is None and missing:
            row["name"] = missing.pop(0)


def extract(lines):
    starts = names_of_operations(lines)
    out, section = [], None
    for start, end in zip(starts, starts[1:] + [len(lines)]):
        # A section's heading stands before its first operation.
        before = [number for number in range(start - 1, max(start - 40, 0), -1)
                  if re.fullmatch(r"[A-Z][A-Za-z0-9 ()',-]{2,60}", lines[number]) and not lines[number - 1]
                  and not lines[number + 1] and lines[number] not in ("Responses", "Request samples", "Response samples")]
        if before and (not out or before[0] > out[-1]["line"]):
            section = lines[before[0]]
        out.append(operation(lines, start, end, section))
    return out


def files(lines):
    operations = extract(lines)
    endpoints = [{key: one[key] for key in ("operation", "section", "line", "authorized", "description")}
                 | {"path": [row["name"] for row in one["path"]]} for one in operations]
    params = [{"operation": one["operation"], "place": place, **row}
              for one in operations for place in ("path", "query", "header", "body") for row in one[place]]
    examples = []
    for one in operations:
        for word in ("request", "response"):
            if one[word] is not None:
                examples.append({"operation": one["operation"], "word": word, "line": one["line"], "body": one[word]})
    as_json = {"endpoints.json": endpoints, "params.json": params, "examples.json": examples}
    texts = {name: "[\n" + ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n"
             for name, rows in as_json.items()}
    table = ["# Samples of Cycloid's reference", "", "Written by `extract_cycloid.py`; don't edit. The page shows closed "
             "objects and lists, which are empty here.", "", "| operation | sample | line | members |", "|---|---|---|---|"]
    for row in examples:
        members = ", ".join("`%s`" % name for name in row["body"]) if isinstance(row["body"], dict) else "no object"
        table.append("| `%s` | %s | 003:%d | %s |" % (row["operation"], row["word"], row["line"], members))
    texts["EXAMPLES.md"] = "\n".join(table) + "\n"
    return texts


def main(arguments):
    check = arguments[:1] == ["--check"]
    folder = arguments[-1]
    found = glob.glob(os.path.join(folder, "003_*.txt"))
    if len(found) != 1:
        sys.exit("expected one file 003_*.txt, found %d" % len(found))
    with open(found[0], encoding="utf-8") as file:
        lines = [line.rstrip() for line in file.read().split("\n")]
    stale = []
    for name, text in files(lines).items():
        path = os.path.join(HERE, "cycloid", name)
        if check:
            with open(path, encoding="utf-8") as file:
                if file.read() != text:
                    stale.append(name)
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
    if stale:
        sys.exit("stale: " + ", ".join(stale))


if __name__ == "__main__":
    main(sys.argv[1:])
