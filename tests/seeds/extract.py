#!/usr/bin/env python3
"""Turns two vendors' references into data that tests compare API descriptions with.

    extract.py SEEDS            writes the files next to this script
    extract.py --check SEEDS    writes nothing; exits 1 if a file differs

SEEDS is the folder that holds `004_*.txt` (IT Glue) and `002_*.txt` (plain REST).
"""

import glob
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))

# Repairs no general rule finds: the first line and the last line of a block of
# seed 004, then (line, text expected there, replacement, remark). A replacement
# of None drops the line; one starting with "\n" is added after the line.
REPAIRS_004 = {
    (353, 415): [
        (415, "]", "\n}", "missing `}` after line 415 added (the seed prints it outside the block, at line 418)"),
    ],
    (504, 516): [
        (513, '        "file_name": "test_file_name_2"', "\n      }", "missing `}` after line 513 added"),
    ],
    (2834, 2852): [
        (2850, "    }", "\n    }", "missing `}` after line 2850 added"),
    ],
    (4934, 5008): [
        (4989, "  ],", "  },", "wrong bracket `]` at line 4989 replaced by `}`"),
        (5007, "  }", None, "surplus `}` at line 5007 dropped"),
    ],
}


class Bad(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Bad(text)


def read_lines(folder, number):
    found = glob.glob(os.path.join(folder, number + "_*.txt"))
    need(len(found) == 1, "expected one file %s_*.txt, found %d" % (number, len(found)))
    with open(found[0], encoding="utf-8", newline="") as f:
        return f.read().split("\n")


def undecode(text):
    """Mends quotes and ellipses that the seed read as Latin-1, less their control characters."""
    return text.replace("\u00e2\u00a6", "...").replace("\u00e2", '"')


def unescape(text):
    return re.sub(r"\\([\\`*_{}\[\]()#+\-.!|])", r"\1", undecode(text))


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


PLACEHOLDER = re.compile(r'^\s*"([^"]+)"\s*:\s*(\{\.\.\.\}|\[\.\.\.\])\s*,?\s*$')
BARE_IP = re.compile(r'^(\s*"[^"]+"\s*:\s*)(\d{1,3}(?:\.\d{1,3}){3})(\s*,?\s*)$')


def parse(text, odd):
    def pairs(items):
        seen = set()
        for key, _ in items:
            if key in seen:
                odd.append("key `%s` printed twice in one object" % key)
            seen.add(key)
        return dict(items)

    return json.loads(text, object_pairs_hook=pairs)


def repair(lines, first, table):
    """Parses a JSON block: its value, the repairs made, whether parts were elided, oddities.

    `lines` starts at line `first` of the seed. Every repair names the seed's line.
    """
    odd = []
    try:
        return parse("\n".join(lines), odd), [], False, odd
    except ValueError:
        pass
    numbered = list(enumerate(lines, first))
    done = []
    elided = False

    for at, expected, new, remark in table:
        out = []
        hit = False
        for n, line in numbered:
            if n == at and not hit:
                need(line == expected, "line %d is %r, the repair expects %r" % (n, line, expected))
                hit = True
                if new is None:
                    continue
                if new.startswith("\n"):
                    out.append((n, line))
                    out.append((n, new[1:]))
                else:
                    out.append((n, new))
            else:
                out.append((n, line))
        need(hit, "no line %d to repair" % at)
        numbered = out
        done.append((at, remark))

    if re.match(r'^\s*"[^"]+"\s*:', numbered[0][1]):
        numbered = [(first, "{")] + numbered + [(numbered[-1][0], "}")]
        done.append((first, "bare member wrapped in braces"))

    out = []
    for n, line in numbered:
        match = PLACEHOLDER.match(line)
        if match:
            elided = True
            done.append((n, "placeholder `%s` of `%s` at line %d dropped" % (match.group(2), match.group(1), n)))
            # The comma before it, if it was the last member, is mended here, silently.
            if not line.rstrip().endswith(",") and out and out[-1][1].rstrip().endswith(","):
                out[-1] = (out[-1][0], out[-1][1].rstrip()[:-1])
            continue
        match = BARE_IP.match(line)
        if match:
            done.append((n, "unquoted IP address at line %d quoted" % n))
            line = '%s"%s"%s' % match.groups()
        out.append((n, line))
    numbered = out

    for i in range(len(numbered) - 1):
        n, line = numbered[i]
        here, following = line.rstrip(), numbered[i + 1][1].strip()
        if here.endswith(",") and following[:1] in ("}", "]"):
            done.append((n, "trailing comma at line %d dropped" % n))
            numbered[i] = (n, here[:-1])
        elif following[:1] in ('"', "{", "[") and not here.endswith((",", "{", "[", ":")):
            done.append((n, "missing comma after line %d added" % n))
            numbered[i] = (n, here + ",")

    try:
        value = parse("\n".join(line for _, line in numbered), odd)
    except ValueError as e:
        raise Bad("the block at line %d stays unreadable: %s" % (first, e))
    done.sort(key=lambda d: d[0])
    return value, [text for _, text in done], elided, odd


def oddities(action, direction, value):
    """What the vendor prints that is valid JSON and still cannot be right."""
    out = []
    if not isinstance(value, dict):
        return out
    data = value.get("data")
    if direction == "response" and "data" in value:
        if action == "index" and not isinstance(data, list):
            out.append("a list printed as one object")
        if action == "show" and isinstance(data, list):
            out.append("one object printed as a list")
    for item in data if isinstance(data, list) else [data]:
        if isinstance(item, dict) and "included" in item:
            out.append("`included` printed inside `data`")
        for name, link in ((item.get("relationships") or {}) if isinstance(item, dict) else {}).items():
            stray = [k for k in link if k not in ("data", "links", "meta")]
            out += ["relationship `%s` printed inside relationship `%s`" % (k, name) for k in stray]
    return out


def example(ident, group, direction, first, last, value, repairs, elided=False, odd=(), text=None):
    return {
        "id": ident,
        "endpoint": group["endpoint"],
        "alsoAt": group["alsoAt"],
        "direction": direction,
        "line": first,
        "endLine": last,
        "json": value,
        "text": text,
        "elided": elided,
        "repairs": repairs,
        "oddities": list(odd),
    }


# The seed has a no-break space after the method.
HEADING = re.compile(r"^# (GET|POST|PATCH|PUT|DELETE)\s(/\S*)$")
ROW = re.compile(r"^\| \*\*(.+?)\*\*\s+(required|optional)(\s*, nil allowed)?\s*\| (.*) \|$")
BOOLEANS = (["true", "false", "1", "0"], ["true", "false"])


def itglue_action(method, path):
    one = path.endswith("/:id")
    return {
        "GET": "show" if one else "index",
        "POST": "create",
        "PATCH": "update" if one else "bulk-update",
        "DELETE": "destroy" if one else "bulk-destroy",
    }[method]


def itglue_groups(lines):
    """The headings that share a text and a table, with the lines they rule."""
    groups, current, fenced = [], None, False
    for n, line in enumerate(lines, 1):
        if line.startswith("```"):
            fenced = not fenced
        if fenced:
            continue
        match = HEADING.match(line)
        if match:
            name = "%s %s" % (match.group(1), unescape(match.group(2)))
            if current and not current["tabled"]:
                current["alsoAt"].append(name)
                continue
            path = unescape(match.group(2))
            resource = [p for p in path.split("/") if p and not p.startswith(":")][-1]
            current = {
                "endpoint": name,
                "alsoAt": [],
                "line": n,
                "resource": resource,
                "action": itglue_action(match.group(1), path),
                "summary": None,
                "errors": [],
                "tabled": False,
                "end": len(lines),
            }
            groups.append(current)
        elif line.startswith("# "):
            current = None
        elif line == "## Params" and current:
            current["tabled"] = True
        elif current and current["summary"] is None and line and not line.startswith(("#", "|")):
            current["summary"] = squeeze(unescape(line))
        elif current:
            match = re.match(r"^\| (\d{3}) \| (.+) \|$", line)
            if match:
                current["errors"].append({"code": int(match.group(1)), "description": match.group(2)})
    for a, b in zip(groups, groups[1:]):
        a["end"] = b["line"] - 1
    return groups


def itglue_type(validation):
    """The type, the allowed values."""
    if validation.startswith("Must be one of:"):
        allowed = re.findall(r"`([^`]*)`", validation)
        if allowed in BOOLEANS:
            return "boolean", allowed
        if allowed == ["Hash", "File"]:
            return "hash or file", allowed
        return "string", allowed
    known = {
        "Must be a number.": "number",
        "Must be a String": "string",
        "Must be a Hash": "hash",
        "Must be an Array of nested elements": "array",
        "Must be an array of any type": "array",
    }
    need(validation in known, "unknown validation %r" % validation)
    return known[validation], None


def itglue_attribute(segments):
    """(attribute, relationship) of a parameter's name."""
    plain = [s for s in segments if s != "_"]
    if segments[-1] == "_":
        return None, None
    if plain[:2] == ["data", "attributes"] and len(plain) > 2:
        return ".".join(plain[2:]), None
    if plain[0] == "attributes" and len(plain) > 1:
        return ".".join(plain[1:]), None
    if plain[:2] == ["data", "relationships"] and len(plain) > 2:
        name = plain[2]
        if len(plain) == 3:
            return None, name
        if plain[3:5] == ["data", "attributes"] and len(plain) > 5:
            return None, ".".join([name] + plain[5:])
        return None, None
    if plain[0] == "data" and len(plain) > 1 and plain[1] not in ("type", "attributes", "relationships", "id"):
        return ".".join(plain[1:]), None
    return None, None


def itglue_params(lines, groups):
    rows = []
    inline = []
    for group in groups:
        in_path = set()
        for name in [group["endpoint"]] + group["alsoAt"]:
            in_path.update(re.findall(r":(\w+)", name))
        kinds = {}
        for n in range(group["line"], group["end"] + 1):
            line = lines[n - 1]
            if not line.startswith("| **"):
                continue
            match = ROW.match(line)
            need(match, "line %d: not a parameter row: %r" % (n, line))
            name = unescape(match.group(1))
            text = match.group(4)
            need(text.count("**Validations:**") == 1, "line %d: no single validation" % n)
            note, rest = text.split("**Validations:**")
            validation, _, meta = rest.partition("Metadata:")
            validation = re.sub(r"^\s*\* ", "", validation).strip()
            meta = squeeze(meta.replace("```", "")) or None
            kind, allowed = itglue_type(validation)
            segments = [s for s in re.split(r"[\[\]]+", name) if s]
            attribute, relationship = itglue_attribute(segments)

            param_type = re.search(r"Param Type: (In URL|CGI|JSON Body Param)", meta or "")
            param_type = param_type.group(1) if param_type else None
            root = segments[0]
            if len(segments) == 1:
                if root in in_path:
                    kinds[root] = "path"
                elif param_type in ("CGI", "In URL"):
                    kinds[root] = "query"
                else:
                    need(
                        param_type or root in ("data", "type", "attributes", "relationships"),
                        "line %d: no place for %s" % (n, root),
                    )
                    kinds[root] = "body"
            place = kinds.get(root)
            if place is None:
                need(root in ("attributes",), "line %d: %s has no root row" % (n, name))
                place = "body"
            if place == "body" and param_type == "In URL" and segments[-1] in in_path:
                place = "path"

            code = re.search(r"```(.*?)```", note)
            if code:
                inline.append((group, n, code.group(1).strip()))
            rows.append(
                {
                    "endpoint": group["endpoint"],
                    "alsoAt": group["alsoAt"],
                    "line": n,
                    "param": name,
                    "resource": group["resource"],
                    "attribute": attribute,
                    "relationship": relationship,
                    "place": place,
                    "required": match.group(2) == "required",
                    "nullable": bool(match.group(3)),
                    "allowed": allowed,
                    "type": kind,
                    "note": squeeze(unescape(note)) or None,
                    "metadata": meta,
                    "source": "table",
                }
            )
    return rows, inline


def itglue_blocks(lines):
    """(first line of the content, its last line) of every fenced block."""
    out, opened = [], None
    for n, line in enumerate(lines, 1):
        if line.startswith("```"):
            if opened is None:
                need(line == "```", "line %d: fence with a word" % n)
                opened = n
            else:
                out.append((opened + 1, n - 1))
                opened = None
    need(opened is None, "unclosed fence at line %r" % opened)
    return out


def itglue_examples(lines, groups, inline):
    intro = {"endpoint": None, "alsoAt": [], "resource": "intro", "action": None}
    pending = []
    for first, last in itglue_blocks(lines):
        group = next((g for g in groups if g["line"] <= first <= g["end"]), intro)
        pending.append((first, last, group, None))
    for group, n, text in inline:
        pending.append((n, n, group, text))
    pending.sort(key=lambda p: p[0])

    out, counts, used = [], {}, set()

    def add(group, direction, first, last, *rest, **more):
        slug = "-".join(x for x in (group["resource"].replace("_", "-"), group["action"]) if x)
        counts[slug] = counts.get(slug, 0) + 1
        out.append(example("%s-%d" % (slug, counts[slug]), group, direction, first, last, *rest, **more))

    for first, last, group, text in pending:
        if text is not None:
            value, repairs, elided, odd = repair([text], first, [])
            repairs = ["taken from the table row at line %d" % first] + repairs
            add(group, "fragment", first, last, value, repairs, elided, odd)
            continue
        block = lines[first - 1 : last]
        head = block[0].lstrip()
        if not head.startswith(("{", "[", '"')):
            reason = "a curl command" if head.startswith("curl ") else "no endpoint's sample: a header or an address"
            add(group, "fragment", first, last, None, ["not JSON: " + reason], text="\n".join(block))
            continue
        need(group is not intro, "a JSON block outside any endpoint at line %d" % first)
        parts = [(first, last, "response" if group["endpoint"].startswith("GET ") else "request", [])]
        splits = [n for n in range(first, last + 1) if lines[n - 1].strip() == "Response:"]
        if splits:
            need(len(splits) == 1, "two responses in the block at line %d" % first)
            split = splits[0]
            remark = ["request and response printed in one block, split at line %d" % split]
            parts = [(first, split - 1, "request", remark), (split + 1, last, "response", remark)]
        table = REPAIRS_004.get((first, last), [])
        used.add((first, last))
        for a, b, direction, remark in parts:
            value, repairs, elided, odd = repair(lines[a - 1 : b], a, table)
            if head.startswith('"'):
                direction = "fragment"
            odd = odd + oddities(group["action"], direction, value)
            add(group, direction, a, b, value, remark + repairs, elided, odd)
    need(set(REPAIRS_004) <= used, "a repair of the table matches no block")
    return out


REST_HEADING = re.compile(r"^(GET|POST|PATCH|PUT|DELETE) (/[^?\s]*)$")
REST_ROW = re.compile(r"^([a-z_]+(?:\[[a-z_]+\])?)(integer|string|boolean|number|object|array)([A-Z].*)$")


def rest_names(title, path):
    """(resource, action) of an endpoint."""
    parts = [p for p in path.split("/") if p and not p.startswith("{")]
    verb = title.split(" ")[0]
    known = {
        "List": "index",
        "Get": "show",
        "Create": "create",
        "Add": "create",
        "Update": "update",
        "Delete": "destroy",
        "Remove": "destroy",
    }
    if verb in known:
        return "-".join(parts), known[verb]
    return "-".join(parts[:-1]), parts[-1]


def rest_groups(lines):
    groups = []
    for n, line in enumerate(lines, 1):
        match = REST_HEADING.match(line)
        if not match:
            continue
        title = next(lines[k - 1] for k in range(n - 1, 0, -1) if lines[k - 1])
        resource, action = rest_names(title, match.group(2))
        groups.append(
            {
                "endpoint": line,
                "alsoAt": [],
                "line": n,
                "resource": resource,
                "action": action,
                "summary": title,
                "end": len(lines),
            }
        )
    for a, b in zip(groups, groups[1:]):
        a["end"] = b["line"] - 1
    groups[-1]["end"] = next(n for n, line in enumerate(lines, 1) if line == "Rate Limits") - 1
    return groups


def rest_chunks(lines):
    """(first, last) of every run of lines without an empty one."""
    out, opened = [], None
    for n, line in enumerate(lines + [""], 1):
        if line and opened is None:
            opened = n
        elif not line and opened is not None:
            out.append((opened, n - 1))
            opened = None
    return out


def rest_examples(lines, groups):
    """The examples, and every chunk's use (so that none is lost)."""
    nowhere = {"endpoint": None, "alsoAt": [], "resource": "pagination", "action": None}
    out, counts, taken = [], {}, set()
    label = None

    def add(group, direction, first, last, *rest, **more):
        slug = "-".join(x for x in (group["resource"], group["action"]) if x)
        counts[slug] = counts.get(slug, 0) + 1
        out.append(example("%s-%d" % (slug, counts[slug]), group, direction, first, last, *rest, **more))
        taken.add(first)

    for first, last in rest_chunks(lines):
        head = lines[first - 1]
        block = lines[first - 1 : last]
        group = next((g for g in groups if g["line"] <= first <= g["end"]), nowhere)
        if head.startswith("{"):
            need(label, "line %d: an example without a label" % first)
            direction = "request" if label.startswith("Request") else "response"
            value, repairs, elided, odd = repair(block, first, [])
            odd = odd + oddities(group["action"], direction, value)
            add(group, direction, first, last, value, repairs, elided, odd)
        elif head.startswith("curl "):
            text = "\n".join(block)
            match = re.search(r"-d '(\{.*\})'$", text, re.S)
            if match:
                at = first + text[: match.start(1)].count("\n")
                value, repairs, elided, odd = repair(match.group(1).split("\n"), at, [])
                remark = ["body taken from the curl command's -d at line %d" % at]
                add(group, "request", first, last, value, remark + repairs, elided, odd, text=text)
            else:
                add(group, "fragment", first, last, None, ["not JSON: a curl command without a body"], text=text)
        elif re.match(r"^Response: \d{3} ", head):
            add(group, "response", first, last, None, ["not JSON: " + head], text=head)
        elif re.match(r"^GET /\S*\?", head):
            add(group, "fragment", first, last, None, ["not JSON: a request line"], text=head)
        label = head if head.endswith(":") else None
    leftover = [n for n, line in enumerate(lines, 1) if line[:1] == "{" and n not in taken]
    need(not leftover, "examples left at lines %r" % leftover)
    return out


def rest_params(lines, groups, examples):
    rows = []
    blank = {
        "attribute": None,
        "relationship": None,
        "required": None,
        "nullable": None,
        "allowed": None,
        "note": None,
        "metadata": None,
    }

    def row(group, n, param, place, kind, source, **more):
        out = {
            "endpoint": group["endpoint"],
            "alsoAt": [],
            "line": n,
            "param": param,
            "resource": group["resource"],
            "attribute": None,
            "relationship": None,
            "place": place,
        }
        out.update({k: blank[k] for k in ("required", "nullable", "allowed")})
        out["type"] = kind
        out.update({"note": None, "metadata": None, "source": source, "default": None, "max": None})
        out.update(more)
        rows.append(out)

    for group in groups:
        for name in re.findall(r"\{(\w+)\}", group["endpoint"]):
            row(group, group["line"], name, "path", "string", "path", required=True, nullable=False)
        for n in range(group["line"], group["end"] + 1):
            if lines[n - 1] != "ParameterTypeDescription":
                continue
            k = n + 1
            while lines[k - 1]:
                match = REST_ROW.match(lines[k - 1])
                need(match, "line %d: not a parameter row: %r" % (k, lines[k - 1]))
                limits = dict(re.findall(r"(default|max): (\d+)", match.group(3)))
                row(
                    group,
                    k,
                    match.group(1),
                    "query",
                    match.group(2),
                    "table",
                    note=match.group(3),
                    **{key: int(value) for key, value in limits.items()}
                )
                k += 1
        seen = set()

        def walk(value, path, first, last):
            line = first
            for key, inner in value.items():
                at = next((n for n in range(line, last + 1) if '"%s":' % key in lines[n - 1]), None)
                need(at, "line %d: no line holds %s" % (first, key))
                line = at
                name = path + [key]
                kind = {dict: "hash", list: "array", str: "string", bool: "boolean"}.get(type(inner), "number")
                dotted = ".".join(name)
                if dotted not in seen:
                    seen.add(dotted)
                    row(group, at, dotted, "body", kind, "example", attribute=dotted)
                if isinstance(inner, dict):
                    walk(inner, name, at, last)

        for ex in examples:
            if ex["endpoint"] == group["endpoint"] and ex["direction"] == "request" and ex["json"] is not None:
                walk(ex["json"], [], ex["line"], ex["endLine"])
    return rows


def rest_conventions(lines, groups, examples):
    def after(heading):
        n = next(n for n, line in enumerate(lines, 1) if line == heading)
        return [(k, lines[k - 1]) for k in range(n + 1, len(lines) + 1)]

    def table(header, pattern):
        out = []
        for n, line in after(header):
            if not line:
                break
            match = re.match(pattern, line)
            need(match, "line %d: not a row: %r" % (n, line))
            out.append((n, match.groups()))
        return out

    base_line, base = next((n, line) for n, line in after("Base URL") if line)
    headers = []
    for n, line in enumerate(lines, 1):
        for name, value in re.findall(r'-H "([^:"]+): ([^"]+)"', line):
            if not any(h["name"] == name for h in headers):
                headers.append({"name": name, "value": value, "line": n})
    auth = []
    for group in groups:
        if group["resource"] != "auth":
            continue
        mine = [e for e in examples if e["endpoint"] == group["endpoint"]]
        auth.append(
            {
                "endpoint": group["endpoint"],
                "line": group["line"],
                "request": next((e["json"] for e in mine if e["direction"] == "request"), None),
                "response": next((e["json"] for e in mine if e["direction"] == "response"), None),
                "examples": [e["id"] for e in mine],
            }
        )
    limit_headers = []
    for n, line in after("Rate limit headers:")[1:]:
        if not line:
            break
        name, value = line.split(": ")
        limit_headers.append({"name": name, "value": value, "line": n})
    return {
        "baseUrl": {"value": base, "line": base_line},
        "requestHeaders": headers,
        "auth": auth,
        "errors": [
            {"code": code, "status": int(status), "description": text, "line": n}
            for n, (code, status, text) in table("CodeHTTP StatusDescription", r"^([a-z_]+)(\d{3})([A-Z].*)$")
        ],
        "rateLimits": [
            {"plan": plan, "perMinute": int(count), "line": n}
            for n, (plan, count) in table("PlanRequests per minute", r"^([A-Z][a-z]+)(\d+)$")
        ],
        "rateLimitHeaders": limit_headers,
        "paginationExamples": [e["id"] for e in examples if e["id"].startswith("pagination-")],
    }


def by_line(rows):
    """A JSON array with one element a line."""
    if not rows:
        return "[]\n"
    return "[\n" + ",\n".join(json.dumps(r, ensure_ascii=False) for r in rows) + "\n]\n"


def pretty(value):
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def endpoints(groups):
    keys = ("endpoint", "alsoAt", "line", "resource", "action", "summary", "errors")
    return [{k: g[k] for k in keys if k in g} for g in groups]


def markdown(tables):
    out = [
        "# Examples of the vendors' references",
        "",
        "Written by `extract.py`; don't edit. The place is the seed's number and its lines.",
    ]
    for title, number, rows in tables:
        out += ["", "## %s (seed %s)" % (title, number), ""]
        out += ["| id | endpoint | direction | place | repairs | oddities |", "|---|---|---|---|---|---|"]
        for r in rows:
            where = [r["endpoint"] or "-"] + r["alsoAt"]
            place = "%s:%d-%d" % (number, r["line"], r["endLine"])
            cells = [
                "`%s`" % r["id"],
                "<br>".join("`%s`" % w if w != "-" else w for w in where),
                r["direction"] + ("" if r["json"] is not None else " (no JSON)"),
                place,
                "<br>".join(r["repairs"]),
                "<br>".join(r["oddities"]),
            ]
            out.append("| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |")
    return "\n".join(out) + "\n"


def build(folder):
    lines = read_lines(folder, "004")
    groups = itglue_groups(lines)
    params, inline = itglue_params(lines, groups)
    examples = itglue_examples(lines, groups, inline)
    need(len(params) == sum(1 for x in lines if x.startswith("| **")), "seed 004: a row is lost")
    need(all(g["tabled"] for g in groups), "seed 004: an endpoint without a table")
    fenced = sum(1 for x in lines if x.startswith("```")) // 2
    blocks = len({(e["line"], e["endLine"]) for e in examples}) - len(inline)
    splits = sum(1 for x in lines if x.strip() == "Response:")
    need(blocks == fenced + splits, "seed 004: %d blocks, %d found" % (fenced + splits, blocks))

    lines2 = read_lines(folder, "002")
    groups2 = rest_groups(lines2)
    examples2 = rest_examples(lines2, groups2)
    params2 = rest_params(lines2, groups2, examples2)

    for rows in (examples, examples2):
        need(len({e["id"] for e in rows}) == len(rows), "an id is used twice")
        for e in rows:
            need(e["json"] is not None or e["repairs"], "%s: neither JSON nor a reason" % e["id"])

    for number, g, p, e in (("004", groups, params, examples), ("002", groups2, params2, examples2)):
        pairs = sum(1 + len(x["alsoAt"]) for x in g)
        print(
            "seed %s: %d endpoints in %d groups, %d rows, %d examples (%d without JSON, %d repaired, %d elided)"
            % (
                number,
                pairs,
                len(g),
                len(p),
                len(e),
                sum(1 for x in e if x["json"] is None),
                sum(1 for x in e if x["json"] is not None and x["repairs"]),
                sum(1 for x in e if x["elided"]),
            )
        )
    return {
        "itglue/endpoints.json": by_line(endpoints(groups)),
        "itglue/params.json": by_line(params),
        "itglue/examples.json": pretty(examples),
        "rest/endpoints.json": by_line(endpoints(groups2)),
        "rest/params.json": by_line(params2),
        "rest/examples.json": pretty(examples2),
        "rest/conventions.json": pretty(rest_conventions(lines2, groups2, examples2)),
        "EXAMPLES.md": markdown([("IT Glue", "004", examples), ("Plain REST", "002", examples2)]),
    }


def main(args):
    check = "--check" in args
    args = [a for a in args if a != "--check"]
    if len(args) != 1 or args[0].startswith("-"):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        files = build(args[0])
    except Bad as e:
        print("extract.py: %s" % e, file=sys.stderr)
        return 2
    stale = 0
    for name, text in files.items():
        path = os.path.join(HERE, *name.split("/"))
        if check:
            try:
                with open(path, encoding="utf-8", newline="") as f:
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
