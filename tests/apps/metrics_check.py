#!/usr/bin/env python3
"""Checks every figure of `derrd evaluate` against an implementation of its own, to 1e-12.

    metrics_check.py DERRD FOLDER

Nothing of the project is imported. Vectors hold small whole numbers, so that scores are exact and
many are equal. data/README.md defines the metrics.
"""
import json
import pathlib
import subprocess
import sys

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.stats import rankdata

DERRD, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
SAMPLED_AT, FULL_AT = (5, 10, 20), (10, 20, 50)
SAMPLED = [f"{m}@{n}" for n in SAMPLED_AT for m in "HNM"]
ACCURACY = [f"{m}@{k}" for k in FULL_AT for m in ("Recall", "NDCG", "Precision", "HR", "MRR", "MAP")]
RESAMPLES = 1000
compared = 0


# --- What is expected --------------------------------------------------------------------------

class Data:
    """Users' rows of items, and candidates."""

    def __init__(self, train, valid, test, candidates, items):
        self.train, self.valid, self.test = train, valid, test
        self.candidates, self.items, self.users = candidates, items, len(train)
        self.width = max((len(row) for row in candidates), default=0)

    def save(self, path):
        tensors = {}
        for part in ("train", "valid", "test"):
            rows = getattr(self, part)
            tensors[part + "_offsets"] = np.cumsum([0] + [len(r) for r in rows]).astype(np.int64)
            tensors[part + "_items"] = np.array([i for r in rows for i in sorted(r)], np.int32)
        tensors["candidates"] = np.array(
            [sorted(r) + [-1] * (self.width - len(r)) for r in self.candidates],
            np.int32).reshape(self.users, self.width)
        tensors["user_ids"] = 1000 + np.arange(self.users, dtype=np.int64)
        tensors["item_ids"] = 7 * np.arange(self.items, dtype=np.int64)
        save_file(tensors, path, {"format": "derrd-dataset"})

    @staticmethod
    def load(path):
        tensors = load_file(path)

        def rows(part):
            if part + "_item" in tensors:
                return [{int(i)} - {-1} for i in tensors[part + "_item"]]
            offsets, items = tensors[part + "_offsets"], tensors[part + "_items"]
            return [set(items[a:b].tolist()) for a, b in zip(offsets, offsets[1:])]
        candidates = [set(row.tolist()) - {-1} for row in tensors["candidates"]]
        return Data(rows("train"), rows("valid"), rows("test"), candidates,
                    len(tensors["item_ids"]))


def sampled_of(data, held_out, score):
    """Returns {user: values of SAMPLED}."""
    result = {}
    for u in range(data.users):
        if not held_out[u] or not data.candidates[u]:
            continue
        values = []
        for item in sorted(held_out[u]):
            field = np.array([score[u, item]] + [score[u, c] for c in sorted(data.candidates[u])])
            rank = int(rankdata(-field, "max")[0])
            values.append([value for n in SAMPLED_AT for value in (
                (1.0, np.log(2) / np.log(rank + 1), 1 / rank) if rank <= n else (0.0, 0.0, 0.0))])
        result[u] = np.mean(values, axis=0)
    return result


def accuracy_of(hits, relevant):
    """Returns the values of ACCURACY for a list: whether each of its items is relevant."""
    values = []
    for k in FULL_AT:
        found = np.zeros(k)
        found[:min(k, len(hits))] = hits[:k]
        discount = 1 / np.log2(np.arange(k) + 2)
        most = min(k, relevant)
        at = np.flatnonzero(found)
        precision = np.cumsum(found) / (np.arange(k) + 1)
        values += [found.sum() / relevant, (found * discount).sum() / discount[:most].sum(),
                   found.mean(), float(len(at) > 0), 1 / (at[0] + 1) if len(at) else 0.0,
                   (precision * found).sum() / most]
    return np.array(values)


def figures_of(lists, data):
    """Returns coverage, Gini index and popularity of users' lists."""
    lists = [row for row in lists if len(row)]
    users_of = np.zeros(data.items)
    for row in data.train:
        users_of[sorted(row)] += 1
    figures = {}
    for k in FULL_AT:
        names = [f"{m}@{k}" for m in ("coverage", "gini", "popularity")]
        if not lists:
            figures.update(dict.fromkeys(names))
            continue
        frequency = np.bincount(np.concatenate([row[:k] for row in lists]), minlength=data.items)
        # Half of the mean absolute difference of all pairs, relative to the mean.
        gini = (np.abs(frequency[:, None] - frequency[None, :]).mean() / 2) / frequency.mean()
        popularity = np.mean([users_of[row[:k]].mean() for row in lists])
        figures.update(zip(names, ((frequency > 0).mean(), gini, popularity)))
    return figures


def ranking_of(data, score, exclude_valid):
    """Returns {user: values of ACCURACY} and the figures of the lists."""
    accuracy, lists = {}, []
    for u in range(data.users):
        if not data.test[u]:
            continue
        seen = data.train[u] | (data.valid[u] if exclude_valid else set())
        ranked = [i for i in range(data.items) if i not in seen]
        lists.append(np.array(sorted(ranked, key=lambda i: (-score[u, i], i))))
        order = sorted(ranked, key=lambda i: (-score[u, i], i in data.test[u]))
        accuracy[u] = accuracy_of([i in data.test[u] for i in order], len(data.test[u]))
    return accuracy, figures_of(lists, data)


def listed_of(data, rankings, exclude_valid):
    """As ranking_of, by {user: ranking}; values at unknown cutoffs are None."""
    accuracy, lists, most = {}, [], 0
    for u in range(data.users):
        if not data.test[u]:
            continue
        seen = data.train[u] | (data.valid[u] if exclude_valid else set())
        most = max(most, data.items - len(seen))
        order = [i for i in rankings.get(u, []) if i not in seen]
        lists.append(np.array(order, int))
        accuracy[u] = accuracy_of([i in data.test[u] for i in order], len(data.test[u]))
    longest = max(map(len, lists), default=0)
    figures = figures_of(lists, data)
    for n, k in enumerate(FULL_AT):
        if min(k, most) > longest:
            for values in accuracy.values():
                values[6 * n:6 * n + 6] = np.nan
            for name in ("coverage", "gini", "popularity"):
                figures[f"{name}@{k}"] = None
    return accuracy, figures


def mix(x):
    mask = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def draws(rows, seed):
    """Returns the rows of each resample [rows, RESAMPLES]: mt19937_64, a column per generator."""
    u64 = np.uint64
    state = np.zeros((312, RESAMPLES), u64)
    state[0] = [mix((mix((mix(seed) + 16) % 2**64) + b) % 2**64) for b in range(RESAMPLES)]
    for i in range(1, 312):
        last = state[i - 1]
        state[i] = u64(6364136223846793005) * (last ^ (last >> u64(62))) + u64(i)
    bits = []
    while len(bits) < rows:
        for i in range(312):
            y = (state[i] & u64(0xFFFFFFFF80000000)) | (state[(i + 1) % 312] & u64(0x7FFFFFFF))
            odd = np.where(y & u64(1), u64(0xB5026F5AA96619E9), u64(0))
            state[i] = state[(i + 156) % 312] ^ (y >> u64(1)) ^ odd
            x = state[i].copy()
            x ^= (x >> u64(29)) & u64(0x5555555555555555)
            x ^= (x << u64(17)) & u64(0x71D67FFFEDA60000)
            x ^= (x << u64(37)) & u64(0xFFF7EEE000000000)
            bits.append(x ^ (x >> u64(43)))
    bits = np.array(bits[:rows])
    assert (bits < u64(2**64 - 1 - (2**64 - 1) % rows)).all()  # the generator draws these again
    return (bits % u64(rows)).astype(int)


def resampled(values, seed):
    """Returns the means of the columns over resamples of users [RESAMPLES, columns]."""
    table = np.array([values[u] for u in sorted(values)])
    return table[draws(len(table), seed)].mean(axis=0)


# --- What is found -------------------------------------------------------------------------------

def close(found, expected, what):
    global compared
    compared += 1
    if expected is None or np.isnan(expected):
        assert found is None, f"{what}: {found}, expected none"
        return
    assert found is not None, f"{what}: none, expected {expected}"
    assert abs(found - expected) <= 1e-12 * max(1, abs(expected)), f"{what}: {found}, {expected}"


def check_means(found, names, values, what):
    """Compares means over users."""
    means = np.mean(list(values.values()), axis=0) if values else [None] * len(names)
    for name, mean in zip(names, means):
        close(found[name], mean, f"{what} {name}")


def check_intervals(found, names, values, first, seed, what):
    """Compares intervals, and differences to the first row's values unless they are these."""
    if not values:
        assert all(entry["interval"] is None for entry in found.values()), what
        return
    means, base = resampled(values, seed), resampled(first, seed)
    mean = np.mean(list(values.values()), axis=0) - np.mean(list(first.values()), axis=0)
    alone = np.quantile(means, (.025, .975), axis=0)
    paired = np.quantile(means - base, (.025, .975), axis=0)
    for n, name in enumerate(names):
        entry = found[name]
        for key, bounds, known in (("interval", alone[:, n], True),
                                   ("difference_interval", paired[:, n], values is not first)):
            known = known and not np.isnan(bounds).any()
            for side in (0, 1):
                close(entry[key][side] if entry[key] is not None else None,
                      bounds[side] if known else None, f"{what} {key} of {name}")
        close(entry["difference"], mean[n] if values is not first else None,
              f"{what} difference of {name}")


def read_users(path):
    """Returns {(file, user's id): (test items, {name: value or None})}."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    assert lines[0] == ["model", "user", "test_items"] + SAMPLED + ACCURACY, lines[0]
    return {(file, user): (int(count), dict(zip(
        lines[0][3:], (None if cell == "-" else float(cell) for cell in cells))))
            for file, user, count, *cells in lines[1:]}


def check_users(found, file, ids, data, names, values, what):
    for u in range(data.users):
        count, by_name = found[file, ids[u]]
        assert count == len(data.test[u]), what
        for n, name in enumerate(names):
            close(by_name[name], values[u][n] if u in values else None, f"{what} user {u} {name}")


def check(name, data, models, rankings):
    """Runs `derrd evaluate` on a data set at FOLDER / name, and compares all that it writes.

    models: {file: (user vectors, item vectors)}; rankings: {file: {user: ranking}}
    """
    ids = [str(i) for i in load_file(FOLDER / name)["user_ids"]]
    for exclude_valid, seed in ((False, 0), (True, 2**64 - 5)):
        users = FOLDER / "users.tsv"
        command = [DERRD, "evaluate", "--data", FOLDER / name, "--json", "--ci", "--per-user", users]
        command += ["--seed", str(seed)] if seed else []
        command += ["--exclude-valid"] if exclude_valid else []
        for option, files in (("--model", models), ("--lists", rankings)):
            for file in files:
                command += [option, FOLDER / file]
        ran = subprocess.run(command, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        found = json.loads(ran.stdout)
        found_users = read_users(users)
        assert len(found_users) == data.users * len(found["models"])
        assert found["data"]["test_users"] == sum(map(bool, data.test))
        assert found["data"]["test_users_without_candidates"] == sum(
            1 for u in range(data.users) if data.test[u] and not data.candidates[u])
        rows = []
        for row, file in zip(found["models"], [*models, *rankings], strict=True):
            what = f"{name} {file}{' without validation items' if exclude_valid else ''}"
            assert row["file"] == str(FOLDER / file)
            if file in models:
                user, item = models[file]
                score = user.astype(float) @ item.astype(float).T
                sampled = sampled_of(data, data.test, score)
                check_means(row["test"], SAMPLED, sampled, what)
                check_means(row["valid"], SAMPLED, sampled_of(data, data.valid, score), what)
                accuracy, figures = ranking_of(data, score, exclude_valid)
            else:
                sampled = {}
                accuracy, figures = listed_of(data, rankings[file], exclude_valid)
            rows.append((file, sampled, accuracy))
            check_means(row["full"], ACCURACY, accuracy, what)
            for figure, value in figures.items():
                close(row["full"][figure], value, f"{what} {figure}")
            assert len(row["full"]) == len(ACCURACY) + len(figures)
            if file in models:
                check_intervals(row["ci"]["test"], SAMPLED, sampled, rows[0][1], seed, what)
            check_intervals(row["ci"]["full"], ACCURACY, accuracy, rows[0][2], seed, what)
            check_users(found_users, row["file"], ids, data, SAMPLED, sampled, what)
            check_users(found_users, row["file"], ids, data, ACCURACY, accuracy, what)
        check_orders(found["opposite_orders"], rows)


def check_orders(found, rows):
    """Compares the pairs of models that N@10 and NDCG@10 put in opposite orders."""
    mean = [(file, np.mean(list(s.values()), axis=0)[SAMPLED.index("N@10")],
             np.mean(list(a.values()), axis=0)[ACCURACY.index("NDCG@10")])
            for file, s, a in rows if s and a]
    expected = [[str(FOLDER / a[0]), str(FOLDER / b[0])] for n, a in enumerate(mean)
                for b in mean[n + 1:] if (a[1] - b[1]) * (a[2] - b[2]) < 0]
    assert [entry["models"] for entry in found] == expected, found


# --- Odd data ------------------------------------------------------------------------------------

def save_model(file, user, item):
    save_file({"user_embedding": user.astype(np.float32), "item_embedding": item.astype(np.float32)},
              FOLDER / file)
    return user, item


def odd_data(random, users, items):
    train, valid, test, candidates = [], [], [], []
    for u in range(users):
        order = random.permutation(items).tolist()
        counts = [1 + random.integers(0, max(1, items // 3)), random.integers(0, 4),
                  random.integers(0, 4)]
        kind = u % 8
        if kind == 1:
            counts = [items, 0, 0]        # has seen everything
        elif kind == 2:
            counts[2] = 0                 # nothing to test
        elif kind == 3:
            counts[2] = max(1, items // 3)  # much to test
        elif kind == 4:
            counts = [0, 0, 1]            # nothing to train
        parts = []
        for count in counts:
            parts.append({order.pop() for _ in range(min(count, len(order)))})
        train.append(parts[0])
        valid.append(parts[1])
        test.append(parts[2])
        candidates.append(set() if kind == 5 else set(order[:random.integers(0, 30)]))
    return Data(train, valid, test, candidates, items)


def write_lists(file, data, random, length):
    """Writes rankings as text, of most users, with unknown ids and training items in them."""
    rankings, lines = {}, ["user\titem"]
    for u in range(data.users):
        if u % 6 == 5:
            continue
        order = random.permutation(data.items)[:random.integers(1, length + 1)].tolist()
        rankings[u] = order
        for n, item in enumerate(order):
            lines.append(f"{1000 + u}\t{7 * item}")
            if n == 0:
                lines.append(f"{1000 + u}\tunknown")
    lines.append("nobody\t0")
    (FOLDER / file).write_text("\n".join(lines) + "\n")
    return rankings


def main():
    random = np.random.default_rng(7)
    for users, items, spread in ((60, 120, 3), (40, 60, 1), (33, 12, 2), (16, 6, 1), (9, 2, 1)):
        data = odd_data(random, users, items)
        name = f"data{items}"
        data.save(FOLDER / name)
        models = {}
        for file in ("first", "second", "third"):
            vectors = [random.integers(-spread, spread + 1, (n, 3)) for n in (users, items)]
            models[file] = save_model(file, *vectors)
        models["equal"] = save_model("equal", np.zeros((users, 2)), np.ones((items, 2)))
        # Finds what is held out: every relevant item has the same score.
        wanted = np.zeros((users, items))
        for u in range(users):
            wanted[u, sorted(data.test[u])] = 1
        models["all"] = save_model("all", wanted, np.eye(items))
        rankings = {"long.tsv": write_lists("long.tsv", data, random, items),
                    "short.tsv": write_lists("short.tsv", data, random, min(items, 25))}
        check(name, data, models, rankings)
        check(name, data, {}, rankings)

    # Nobody to test, and one user to test.
    for name, test in (("nobody", [set(), set()]), ("one", [{3}, set()])):
        data = Data([{0}, {1}], [{2}, set()], test, [{4, 5}, set()], 8)
        data.save(FOLDER / name)
        check(name, data, {"tiny": save_model("tiny", np.array([[2], [1]]), np.arange(8)[:, None])},
              {})

    # A data set that the program makes.
    lines = {(random.integers(0, 50), int(random.integers(0, 40) ** 2 / 20)) for _ in range(900)}
    (FOLDER / "lines.tsv").write_text("".join(f"{u}\t{i}\n" for u, i in sorted(lines)))
    subprocess.run([DERRD, "prepare", FOLDER / "lines.tsv", "--min-user", "3", "--candidates", "20",
                    "-o", FOLDER / "made"], check=True, capture_output=True)
    data = Data.load(FOLDER / "made")
    models = {file: save_model(file, random.integers(-2, 3, (data.users, 4)),
                               random.integers(-2, 3, (data.items, 4))) for file in ("a", "b")}
    check("made", data, models, {})
    print(f"{compared} figures agree")


main()
