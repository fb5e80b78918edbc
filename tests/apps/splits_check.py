"""Compares the splits of `derrd prepare` with plain ones of its own, on odd data.

Usage: splits_check.py PROGRAM FOLDER
"""

import datetime
import fractions
import json
import subprocess
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

PROGRAM, FOLDER = sys.argv[1:]
UTC = datetime.timezone.utc


def is_date(text):
    return text[4:5] == "-"


def exact(text):
    """The moment of a text: a number, or the seconds since 1970."""
    if not is_date(text):
        return fractions.Fraction(text)
    date = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    since = date - datetime.datetime(1970, 1, 1, tzinfo=UTC)
    return fractions.Fraction(since.days * 86400 + since.seconds) + fractions.Fraction(
        since.microseconds, 10**6
    )


def half_up(share, n):
    return int(fractions.Fraction(share) * n + fractions.Fraction(1, 2))


def is_share(text):
    return not is_date(text) and 0 < fractions.Fraction(text) < 1


def distinct(rows):
    """The earliest row of each pair, in file order; of equal times the first."""
    best = {}
    for position, (user, item, time) in enumerate(rows):
        known = best.get((user, item))
        if known is None or exact(time) < exact(rows[known][2]):
            best[user, item] = position
    return [rows[position] for position in sorted(best.values())]


def filtered(rows, min_user, min_item):
    while True:
        users, items = {}, {}
        for user, item, _ in rows:
            users[user] = users.get(user, 0) + 1
            items[item] = items.get(item, 0) + 1
        kept = [r for r in rows if users[r[0]] >= min_user and items[r[1]] >= min_item]
        if len(kept) == len(rows):
            return rows
        rows = kept


def split_last(rows, holdout):
    """The part of each row: 0 train, 1 valid, 2 test."""
    parts = [0] * len(rows)
    for user in {row[0] for row in rows}:
        own = [k for k, row in enumerate(rows) if row[0] == user]
        own.sort(key=lambda k: (exact(rows[k][2]), k))
        wanted = half_up(holdout, len(own)) if is_share(holdout) else int(holdout)
        test = min(wanted, len(own) - 1)
        valid = min(wanted, len(own) - test - 1)
        for place, k in enumerate(reversed(own)):
            parts[k] = 2 if place < test else 1 if place < test + valid else 0
    return rows, parts


def split_time(rows, valid, test):
    """Rows of users who train, and their parts."""
    times = sorted(exact(row[2]) for row in rows)

    def start(text, end):
        if not is_share(text):
            return exact(text)
        count = half_up(text, len(times))
        return times[end - count] if count else None

    test_start = start(test, len(times))
    valid_start = start(valid, sum(time < test_start for time in times))
    if valid_start is None:
        valid_start = test_start
    parts = [
        2 if exact(row[2]) >= test_start else 1 if exact(row[2]) >= valid_start else 0
        for row in rows
    ]
    trained = {row[0] for row, part in zip(rows, parts) if part == 0}
    kept = [(row, part) for row, part in zip(rows, parts) if row[0] in trained]
    return [row for row, _ in kept], [part for _, part in kept]


def ids_of(tensors, kind):
    if kind + "_ids" in tensors:
        return [str(number) for number in tensors[kind + "_ids"]]
    text, offsets = tensors[kind + "_id_bytes"].tobytes(), tensors[kind + "_id_offsets"]
    return [text[a:b].decode() for a, b in zip(offsets[:-1], offsets[1:])]


def rows_of(tensors, part, num_users):
    """Items of every user, by number."""
    if part + "_item" in tensors:
        return [[item] if item >= 0 else [] for item in tensors[part + "_item"].tolist()]
    offsets, items = tensors[part + "_offsets"], tensors[part + "_items"]
    assert len(offsets) == num_users + 1
    return [items[a:b].tolist() for a, b in zip(offsets[:-1], offsets[1:])]


def prepare(options):
    path = FOLDER + "/data"
    command = [PROGRAM, "prepare", "-o", path, "--candidates", "3"] + options
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with safe_open(path, "np") as file:
        return load_file(path), json.loads(file.metadata()["options"])


def compare(tensors, expected, parts, user_order):
    """Compares ids, their order, and the rows of the three parts."""
    users, items = ids_of(tensors, "user"), ids_of(tensors, "item")
    remaining = {row[0] for row in expected}
    assert users == [user for user in user_order if user in remaining], users
    assert items == list(dict.fromkeys(row[1] for row in expected)), items
    for number, part in enumerate(("train", "valid", "test")):
        rows = rows_of(tensors, part, len(users))
        for user, row in zip(users, rows):
            mine = sorted(
                items.index(r[1]) for r, p in zip(expected, parts) if r[0] == user and p == number
            )
            assert row == mine, (part, user, row, mine)


def number_times(random, n):
    return [str(t) for t in random.integers(-5, 40, n)]


def fraction_times(random, n):
    texts = ["1.5", "1.50", "15e-1", "1.4999999", "2", "-0.25", "-1", "978300760.000000001"]
    return [texts[k] for k in random.integers(0, len(texts), n)]


def large_times(random, n):
    return [str(1700000000000000000 + t) for t in random.integers(0, 9, n)]


def date_times(random, n):
    texts = []
    for k in range(n):
        date = datetime.datetime(2016, 2, 27) + datetime.timedelta(
            hours=int(random.integers(0, 96))
        )
        zone = ("", "Z", "+02:00", "-05:30", "+00:00")[random.integers(0, 5)]
        texts.append(date.isoformat(" " if k % 2 else "T") + zone)
    return texts


def write_table(name, rows, header, separator):
    with open(f"{FOLDER}/{name}", "w") as file:
        if header:
            file.write(separator.join(("item_id", "user_id", "timestamp")) + "\n")
        for user, item, time in rows:
            cells = (item, user, time) if header else (user, item, "5", time)
            file.write(separator.join(cells) + "\n")


def odd_rows(random, times):
    """Users with many interactions, with one, late ones, repeated pairs and ties."""
    n = int(random.integers(40, 160))
    rows = []
    for time in times(random, n):
        user = random.integers(0, 12) if random.random() < 0.8 else random.integers(12, 40)
        rows.append((f"u{user}", str(random.integers(0, 25)), time))
    latest = max((row[2] for row in rows), key=exact)
    return rows + [("late", "3", latest), ("late", "99", latest), rows[0]]


def main():
    checked = 0
    for seed in range(24):
        random = np.random.default_rng(seed)
        times = (number_times, fraction_times, large_times, date_times)[seed % 4]
        rows = odd_rows(random, times)
        user_order = list(dict.fromkeys(row[0] for row in rows))
        header = seed % 3 == 0
        write_table("table", rows, header, "\t" if seed % 2 else ",")
        min_user, min_item = ((1, 0), (3, 0), (2, 2))[seed % 3]
        options = [FOLDER + "/table", "--min-user", str(min_user), "--min-item", str(min_item)]
        kept = filtered(distinct(rows), min_user, min_item)

        for holdout in ("1", "2", "0.2", "0.125", "0.5", "100"):
            tensors, used = prepare(options + ["--split", "last", "--holdout", holdout])
            compare(tensors, *split_last(kept, holdout), user_order)
            assert used["split"] == "last" and used["holdout"] == holdout
            checked += 1

        middle = sorted((row[2] for row in kept), key=exact)
        moments = [("0.1", "0.1"), ("0.05", "0.3")]
        if exact(middle[0]) < exact(middle[len(middle) // 2]) < exact(middle[-1]):
            moment = middle[len(middle) // 2]
            moments += [("0.1", middle[-1]), ("0.1", moment), (moment, middle[-1])]
        for valid, test in moments:
            mine = split_time(kept, valid, test)
            if 0 not in mine[1] or 2 not in mine[1]:
                continue  # is refused
            arguments = ["--split", "time", "--time-valid=" + valid, "--time-test=" + test]
            tensors, used = prepare(options + arguments)
            compare(tensors, *mine, user_order)
            assert used["time-valid"] == valid and used["time-test"] == test
            checked += 1

        # The parts as files of their own give the same rows, whatever their sizes.
        mine, parts = split_last(kept, "2")
        for number, name in enumerate(("train", "valid", "test")):
            write_table(name, [r for r, p in zip(mine, parts) if p == number], True, ",")
        files = [x for name in ("train", "valid", "test") for x in ("--" + name, f"{FOLDER}/{name}")]
        tensors, _ = prepare(files)
        users, items = ids_of(tensors, "user"), ids_of(tensors, "item")
        for number, name in enumerate(("train", "valid", "test")):
            rows_now = rows_of(tensors, name, len(users))
            pairs = {(users[u], items[i]) for u, row in enumerate(rows_now) for i in row}
            assert pairs == {r[:2] for r, p in zip(mine, parts) if p == number}, name
        checked += 1
    print(f"{checked} splits are as expected")


main()
