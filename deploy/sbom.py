#!/usr/bin/env python3
"""Prints a bill of materials (CycloneDX 1.5) of what the program is built from: the packages of Cargo.lock that its
normal dependencies lead to. Takes the version of the release."""

import json
import subprocess
import sys

metadata = json.loads(
    subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"], check=True, capture_output=True, text=True
    ).stdout
)
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
root = metadata["resolve"]["root"]
seen = set()
waiting = [root]
while waiting:
    current = waiting.pop()
    if current in seen:
        continue
    seen.add(current)
    for dependency in nodes[current]["deps"]:
        if any(kind["kind"] != "dev" for kind in dependency["dep_kinds"]):
            waiting.append(dependency["pkg"])


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    out = {
        "type": "library",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
    }
    if package.get("license"):
        out["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return out


own = packages[root]
print(
    json.dumps(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": {"type": "application", "bom-ref": "plumb", "name": "plumb", "version": sys.argv[1]}},
            "components": sorted(
                (component(packages[id]) for id in seen if id != root), key=lambda found: found["bom-ref"]
            ),
            "dependencies": sorted(
                (
                    {
                        "ref": "plumb" if id == root else reference(packages[id]),
                        "dependsOn": sorted(
                            {
                                reference(packages[dependency["pkg"]])
                                for dependency in nodes[id]["deps"]
                                if dependency["pkg"] in seen
                            }
                        ),
                    }
                    for id in seen
                ),
                key=lambda found: found["ref"],
            ),
        },
        indent=1,
    )
)
