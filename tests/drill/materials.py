"""The files that the drills read: tiny data, models, lists, exports, recipes, work folders."""

import gzip
import json
import random
import shutil
import struct
import time

USERS, ITEMS = 60, 120
SIZES = f"--users {USERS} --items {ITEMS} --interactions 900 --candidates 20"
BATCH = "--threads 1 --batch 256 --patience 1000"
RECIPE = """epochs = {epochs}
patience = 1000
batch = 64
lr = 0.02
[prepare]
candidates = 20
[bpr.teacher]
dim = 8
[bpr.student]
[bpr.rrd]
k = 5
l = 5
list = 30
"""
CONFIG = """# options of train
seed = 3
[train]
quiet = true
lr = 0.01
weight-decay = 1e-4
stop-on = ["N@10", "H@5"]
preset = "paper"
"""
REPRODUCE = (
    "reproduce --data citeulike=@users.tsv --models bpr --splits 0 --jobs 2 --threads 1 "
    "--methods student,rrd --table 1,2 --work work -o report --recipes "
)
SEARCH = (
    "search --data citeulike=@users.tsv --model bpr --method rrd --first-epochs 8 --factor 2 "
    "--finalists 1 --grid lambda-rrd=1e-3,10,1e-2,1 --jobs 2 --threads 1 --work work -o points "
    "--recipes "
)
SHORT, LONG = "@short.toml", "@long.toml"  # recipes for damage and for kills
TRAIN = f"train --data @data --dim 4 {BATCH} --epochs 12 --quiet"


def pairs():
    """Made-up interactions, the same in every Python."""
    rng = random.Random(7)
    for user in range(USERS):
        for item in sorted(rng.sample(range(ITEMS), 15)):
            yield user, item, rng.randint(1, 5), 1400000000 + rng.randrange(10**8)


def write_text_formats(base):
    """The text formats of prepare, a file each."""
    rows = list(pairs())
    by_user = {}
    for user, item, _, _ in rows:
        by_user.setdefault(user, []).append(str(item))
    lists = list(by_user.items())
    texts = {
        "citeulike.dat": "".join(f"{len(i)} {' '.join(i)}\n" for _, i in lists),
        "adjacency.txt": "".join(f"u{u} {' '.join(i[: 15 - u % 7])}\n" for u, i in lists),
        "table.tsv": "user_id\titem_id\trating\ttimestamp\n"
        + "".join("\t".join(map(str, row)) + "\n" for row in rows),
        "quoted.csv": 'user_id,isbn,"stars",date\n'
        + "".join(f'"r{u}","9{i:03}",{r},2015-01-{1 + t % 28:02} 10:{t % 60:02}\n'
                  for u, i, r, t in rows),
        "ratings.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        + "".join("\t".join(map(str, row)) + "\n" for row in rows),
        "ratings.dat": "".join("::".join(map(str, row)) + "\n" for row in rows),
        "users.tsv": "".join(f"{u}\t{i}\n" for u, i, _, _ in rows),
    }
    for name, text in texts.items():
        (base / name).write_text(text)
    packed = gzip.compress(texts["users.tsv"].encode(), mtime=0)
    (base / "packed.tsv.gz").write_bytes(packed)


def safetensors(tensors, metadata):
    """The bytes of a safetensors file. tensors: (name, dtype, shape, bytes)."""
    header, at = {"__metadata__": metadata} if metadata else {}, 0
    for name, dtype, shape, data in tensors:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(data for *_, data in tensors)


def metadata_of(path):
    """The metadata of a safetensors file. Raises ValueError if its length isn't what it says."""
    data = path.read_bytes()
    if len(data) < 8:
        raise ValueError("shorter than its first number")
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    end = max([t["data_offsets"][1] for n, t in header.items() if n != "__metadata__"], default=0)
    if len(data) != 8 + length + end:
        raise ValueError(f"{len(data)} bytes instead of {8 + length + end}")
    return header.get("__metadata__", {})


def strings(texts):
    """Ids as the tensors of strings: bytes and offsets."""
    coded = [text.encode() for text in texts]
    offsets = [0]
    for text in coded:
        offsets.append(offsets[-1] + len(text))
    return b"".join(coded), struct.pack(f"<{len(offsets)}q", *offsets)


def write_foreign(base):
    """A model and lists of another program, and files of ids."""
    rng = random.Random(5)

    def floats(*shape):
        count = shape[0] * shape[1]
        values = struct.pack(f"<{count}f", *(rng.gauss(0, 1) for _ in range(count)))
        return "F32", list(shape), values

    users, user_offsets = strings([str(u) for u in range(USERS)])
    items, item_offsets = strings([str(i) for i in range(ITEMS)])
    tensors = [
        ("P", *floats(USERS, 6)),
        ("Q", *floats(ITEMS, 6)),
        ("item_bias", *floats(ITEMS, 1)),
        ("user_id_offsets", "I64", [USERS + 1], user_offsets),
        ("item_id_offsets", "I64", [ITEMS + 1], item_offsets),
        ("user_id_bytes", "U8", [len(users)], users),
        ("item_id_bytes", "U8", [len(items)], items),
    ]
    (base / "foreign").write_bytes(safetensors(tensors, {"made_by": "another program"}))
    ranked = [rng.sample(range(ITEMS), 20) for _ in range(USERS)]
    flat = [item for items in ranked for item in items]
    lists = ("items", "I32", [USERS, 20], struct.pack(f"<{len(flat)}i", *flat))
    (base / "foreign-lists").write_bytes(safetensors([lists], {}))
    (base / "lists.txt").write_text(
        "".join(f"{u}\t{i}\t{-n}\n" for u, items in enumerate(ranked) for n, i in enumerate(items))
    )
    (base / "some-users.txt").write_text("\n".join(map(str, range(0, USERS, 3))) + "\n")
    (base / "some-items.txt").write_text("\n".join(map(str, range(0, ITEMS, 2))) + "\n")
    (base / "all-users.txt").write_text("\n".join(map(str, range(USERS))) + "\n")


def unfinish(lab, folder):
    """Makes a finished work folder one whose student and RRD were killed halfway."""
    for run in ("student", "rrd"):
        folders = folder.glob(f"work/citeulike.bpr.{run}.split-0.*")
        (place,) = (p for p in folders if ".users." not in p.name)  # not its evaluation's
        words = (place / "command.txt").read_text().split()[1:-1]
        for name in ("model.safetensors", "log.jsonl", "attempts.jsonl"):
            (place / name).unlink()
        lab.run([*words, "--epochs=3"], folder=folder).expect(0)
        if run == "rrd":  # the other one had trained on, for as long as its attempt was not noted
            (place / "model.safetensors").unlink()


def make_work_folders(lab):
    """Finished and interrupted work folders, and those of a run with another seed."""
    base = lab.base
    for name, options in (("finished", ""), ("other-seed", " --seed 1 --splits 1")):
        (base / name).mkdir()
        command = REPRODUCE.replace(" --splits 0", "") if options else REPRODUCE
        lab.run(command + SHORT + options, folder=base / name).expect(0)
    shutil.copytree(base / "finished", base / "interrupted")
    unfinish(lab, base / "interrupted")
    (base / "other-seed.checkpoint").mkdir()  # complete, of the same length
    lab.run(TRAIN + " --seed 9 -o model --log log --checkpoint checkpoint",
            folder=base / "other-seed.checkpoint").expect(0)


def measure(lab):
    """Seconds of a run of some length, for the time limits and the lengths of the kills' runs."""
    start = time.monotonic()
    lab.run(f"train --data @data --dim 8 {BATCH} --epochs 40 -o measured --quiet "
            "--checkpoint measured.checkpoint --checkpoint-every 0 --log measured.log").expect(0)
    return time.monotonic() - start


def make(lab):
    """Makes all files in lab.base. Raises Finding if derrd can't even do that."""
    base = lab.base
    lab.begin(base)
    write_text_formats(base)
    write_foreign(base)
    (base / "config.toml").write_text(CONFIG)
    (base / "short.toml").write_text(RECIPE.format(epochs=6))
    (base / "long.toml").write_text(RECIPE.format(epochs=60))
    for name in ("arrays", "arrays.other"):
        (base / name).mkdir()
    for command in (
        f"synthesize {SIZES} -o @data",
        f"synthesize {SIZES} --seed 1 -o @data.other",
        f"train --data @data --dim 8 {BATCH} --epochs 20 -o @bpr",
        f"train --data @data --dim 8 {BATCH} --epochs 20 --seed 1 -o @bpr.other",
        f"train --data @data --dim 8 --model neumf {BATCH} --epochs 20 -o @neumf",
        f"train --data @data --dim 8 --model neumf {BATCH} --epochs 20 --seed 1 -o @neumf.other",
        "recommend --data @data --model @bpr --format safetensors --top 20 -o @lists",
        "recommend --data @data --model @bpr.other --format safetensors --top 20 -o @lists.other",
        "recommend --data @data --model @bpr --top 20 -o @lists.tsv",
        "export @bpr --data @data --format npy -o @arrays/v",
        "export @bpr.other --data @data --format npy -o @arrays.other/v",
    ):
        lab.run(command).expect(0)
    (base / "half").mkdir()
    half = TRAIN.replace("--epochs 12", "--epochs 6")
    lab.run(half + " -o model --log log --checkpoint checkpoint", folder=base / "half").expect(0)
    make_work_folders(lab)
    lab.shared["seconds"] = measure(lab)
