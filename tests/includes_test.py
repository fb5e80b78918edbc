#!/usr/bin/env python3
"""Checks that includes run one way: apps -> engine -> kernels, and no circle between folders.

A folder of executors (kernels/platform), of formats (data/formats) and of one method
(engine/distill/de) is part of the folder that holds it.
"""
import graphlib
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY_INCLUDE = {"data": {"data"}, "kernels": {"kernels"}, "engine": {"engine", "kernels", "data"},
               "apps": {"apps", "engine", "kernels", "data"}}
PARTS_OF_THEIR_FOLDER = re.compile(r"^(kernels/platform|data/formats|engine/distill/de)\b.*")


def room(path):
    """Returns the folder that a file belongs to: two levels at the most."""
    folder = "/".join(path.split("/")[:-1])
    folder = PARTS_OF_THEIR_FOLDER.sub(
        lambda found: "data" if found[1] == "data/formats" else "/".join(found[1].split("/")[:2]),
        folder)
    return folder


def main():
    problems, arrows = [], {}
    for top, allowed in MAY_INCLUDE.items():
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix not in (".h", ".cpp", ".cu"):
                continue
            name = file.relative_to(ROOT).as_posix()
            for target in re.findall(r'^#include "([^"]+)"', file.read_text(), re.M):
                if not (ROOT / target).exists():
                    continue  # made by the build
                if target.split("/")[0] not in allowed:
                    problems.append(f"{name} includes {target}: that runs up")
                if room(name) != room(target):
                    arrows.setdefault(room(name), {}).setdefault(room(target), (name, target))
    try:
        graphlib.TopologicalSorter({a: b.keys() for a, b in arrows.items()}).prepare()
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]  # TopologicalSorter names a predecessor first
        problems.append("a circle of folders: " + ", ".join(
            "{} includes {}".format(*arrows[a][b]) for a, b in zip(circle, circle[1:])))
    if not arrows:
        problems.append(f"no includes found below {ROOT}")
    print("\n".join(problems) or "includes run one way")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
