#!/usr/bin/env python3
"""Puts standard input between two marks of a page: record.py PAGE NAME replaces what stands between
`<!-- NAME -->` and `<!-- /NAME -->`."""
import sys
from pathlib import Path


def main():
    page, name = Path(sys.argv[1]), sys.argv[2]
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, found, rest = page.read_text().partition(begin)
    _, ended, tail = rest.partition(end)
    if not (found and ended):
        sys.exit(f"{page} has no marks {begin.strip()} and {end}")
    page.write_text(f"{head}{begin}{sys.stdin.read().rstrip()}\n{end}{tail}")


main()
