#!/usr/bin/env python3
"""Shows the last line of a file of the harness's `physical` as a table: what the machine itself can do."""
import json
import sys
from pathlib import Path


def us(spread):
    return f"p50 {spread['p50']:.0f} µs, p99 {spread['p99']:.0f} µs"


def main():
    found = json.loads(Path(sys.argv[1]).read_text().splitlines()[-1])
    rows = [("loopback round trip, 512 B", us(found["rtt_512b"]["us"])),
            ("append 200 B + fdatasync", us(found["files"]["append_fdatasync_200b_us"])),
            ("write 1 KB + fsync + rename", us(found["files"]["write_fsync_rename_1k_us"]))]
    for name, runs in found["redis"].items():
        one, many = runs["c1"], runs["c50"]
        rows.append((f"Redis `{name[:24].strip()}`",
                     f"p50 {one['p50_ms'] * 1000:.0f} µs alone; {many['per_s']:,.0f}/s from 50 clients"))
    print("| physical limit | result |\n|---|---|")
    for what, result in rows:
        print(f"| {what} | {result} |")


main()
