"""Asks whether a package of the locks has a known hole, where an advisory service can be reached.

A service that cannot be reached is named and fails nothing, because no build may depend on one. A
hole fails.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
# OSV's batch query (https://google.github.io/osv.dev/post-v1-querybatch/), at most 1,000 a call.
OSV = "https://api.osv.dev/v1/querybatch"
ASK_S = 20.0


def locked(text: str) -> dict[str, str]:
    """Read the packages of a lock and their versions."""
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?==([^\s;]+)", text, re.MULTILINE))


def holes(packages: dict[str, str], url: str = OSV) -> dict[str, list[str]]:
    """Answer the ids of known holes by package. Raises OSError where nobody answers."""
    queries = [
        {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
        for name, version in packages.items()
    ]
    answer = requests.post(url, json={"queries": queries}, timeout=ASK_S)
    answer.raise_for_status()
    results: list[dict[str, Any]] = answer.json()["results"]
    found = zip(packages, results, strict=True)
    return {name: [one["id"] for one in told["vulns"]] for name, told in found if told.get("vulns")}


def npm_holes(folder: Path) -> tuple[int, str]:
    """Answer how many known holes npm tells of, or -1 and why it cannot."""
    command = ["npm", "--prefix", str(folder), "audit", "--json", "--omit=dev"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        report = json.loads(told.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return -1, type(error).__name__
    if "metadata" not in report:
        return -1, str(report.get("message") or report.get("error") or "no report")[:200]
    return int(report["metadata"]["vulnerabilities"]["total"]), ""


def main() -> None:
    """Exit with 1 where a hole is known."""
    code = 0
    try:
        found = holes(locked((ROOT / "requirements-dev.lock").read_text()))
    except (OSError, ValueError, KeyError) as error:
        print(f"audit: nobody could be asked about Python packages ({type(error).__name__})")
    else:
        code |= bool(found)
        for name, ids in found.items():
            print(f"audit: {name} has known holes: {', '.join(ids)}")
        print(f"audit: {len(found)} Python packages have a known hole")
    count, why = npm_holes(ROOT / "bridge/dashboard")
    if count < 0:
        print(f"audit: nobody could be asked about npm packages ({why})")
    else:
        code |= bool(count)
        print(f"audit: {count} known holes in npm packages")
    sys.exit(code)


if __name__ == "__main__":
    main()
