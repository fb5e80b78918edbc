"""Damage to files: flipped bits, moved blocks, other things in a file's place."""

import os
import shutil

INTERESTING = b"\x00\xff\x7f\x80\x1b\n\r\t \"'{}[],:;-+.0189eE#/\\\xc3"


def _span(rng, size, longest=64):
    """A part of a file: begin and end, neither empty nor longer than `longest`."""
    begin = _place(rng, size)
    return begin, min(size, begin + rng.randint(1, longest))


def _place(rng, size):
    """A position; headers, which stand first, are hit more often than their length would say."""
    if rng.random() < 0.3:
        return rng.randrange(min(size, 2048))
    return rng.randrange(size)


def flip(rng, data):
    at, bit = _place(rng, len(data)), rng.randrange(8)
    data[at] ^= 1 << bit
    return f"bit {bit} of byte {at} flipped"


def set_byte(rng, data):
    at, value = _place(rng, len(data)), rng.choice(INTERESTING)
    data[at] = value
    return f"byte {at} set to {value}"


def set_digit(rng, data):
    """Another digit: what stays valid text."""
    digits = [at for at in range(len(data)) if 48 <= data[at] <= 57]
    if not digits:
        return set_byte(rng, data)
    at, value = rng.choice(digits), rng.choice(b"0123456789")
    data[at] = value
    return f"digit at byte {at} set to {chr(value)}"


def fill(rng, data):
    begin, end = _span(rng, len(data))
    value = rng.choice((0, 255, 32, 48))
    data[begin:end] = bytes([value]) * (end - begin)
    return f"bytes {begin} to {end} filled with {value}"


def noise(rng, data):
    begin, end = _span(rng, len(data))
    data[begin:end] = rng.randbytes(end - begin)
    return f"bytes {begin} to {end} are noise"


def insert(rng, data):
    at, count = _place(rng, len(data)), rng.choice((1, 1, 4, 8, 64))
    new = rng.randbytes(count) if rng.random() < 0.5 else bytes([rng.choice(INTERESTING)]) * count
    data[at:at] = new
    return f"{count} bytes inserted at {at}"


def delete(rng, data):
    begin, end = _span(rng, len(data), rng.choice((1, 8, 512)))
    del data[begin:end]
    return f"bytes {begin} to {end} deleted"


def duplicate(rng, data):
    begin, end = _span(rng, len(data), rng.choice((1, 8, 512)))
    data[end:end] = data[begin:end]
    return f"bytes {begin} to {end} doubled"


def swap(rng, data):
    """Two blocks of equal length change places."""
    if len(data) < 2:
        return flip(rng, data)
    length = rng.randint(1, min(64, len(data) // 2))
    first = rng.randint(0, len(data) - 2 * length)
    second = rng.randint(first + length, len(data) - length)
    block = data[first : first + length]
    data[first : first + length] = data[second : second + length]
    data[second : second + length] = block
    return f"{length} bytes at {first} and {second} swapped"


def swap_lines(rng, data):
    """Two lines change places, one goes or one comes twice."""
    lines = bytes(data).splitlines(keepends=True)
    if len(lines) < 2:
        return swap(rng, data)
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    how = rng.choice(("swapped", "deleted", "doubled"))
    if how == "swapped":
        lines[a], lines[b] = lines[b], lines[a]
    elif how == "deleted":
        del lines[a]
    else:
        lines.insert(b, lines[a])
    data[:] = b"".join(lines)
    return f"line {a + 1} {how}" + ("" if how == "deleted" else f", line {b + 1}")


def truncate(rng, data):
    at = rng.choice((rng.randrange(len(data)), len(data) - 1, _place(rng, len(data))))
    del data[at:]
    return f"truncated to {at} bytes"


def extend(rng, data):
    count = rng.choice((1, 8, 4096))
    data += rng.choice((bytes(count), rng.randbytes(count), bytes(data[:count])))
    return f"extended by {count} bytes"


CHANGES = [flip, flip, set_byte, set_digit, fill, noise, insert, delete, duplicate, swap,
           swap_lines, truncate, extend]


def change(rng, data):
    """Another text than `data`, by one to three changes, and what was done."""
    while True:
        new, done = bytearray(data), []
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            done.append(rng.choice(CHANGES)(rng, new) if new else extend(rng, new))
        if new != data:
            return bytes(new), ", ".join(done)


def damage_file(rng, path, others=(), pipe="fed", replaced=0.2):
    """Damages a file in place. Returns what was done, whether it is another whole file, a step.

    others: whole files of the same kind to put in its place
    pipe: what a named pipe in its place has at its other end: "fed", the file's own text; "read",
        somebody who reads; "alone", nobody
    replaced: share of the tries that put something else in the file's place
    """
    if rng.random() >= replaced:
        new, what = change(rng, path.read_bytes())
        path.write_bytes(new)
        return what, False, None
    kinds = ["empty", "folder", "loop", "pipe"] + ["other"] * (2 if others else 0)
    kind = rng.choice(kinds)
    old = path.read_bytes()
    path.unlink()
    if kind == "empty":
        path.write_bytes(b"")
        return "replaced by an empty file", False, None
    if kind == "folder":
        path.mkdir()
        return "replaced by a folder", False, None
    if kind == "loop":
        os.symlink(path.name, path)
        return "replaced by a symbolic link to itself", False, None
    if kind == "other":
        other = rng.choice(others)
        shutil.copyfile(other, path)
        return f"replaced by {other}", old != path.read_bytes(), None
    os.mkfifo(path)
    if pipe == "alone":
        return "replaced by a named pipe", False, None
    kept = path.with_name(path.name + ".whole")
    kept.write_bytes(old)
    step = ["sh", "-c", 'cat "$1" >"$0"' if pipe == "fed" else 'cat "$0" >/dev/null',
            path.name, kept.name]
    return f"replaced by a named pipe ({pipe})", False, step
