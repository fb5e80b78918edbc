"""Drills with damaged files: each is refused, or gives the result of the whole file."""

import dataclasses
import json
import os
import shutil

from .materials import BATCH, TRAIN, metadata_of, safetensors
from .mutations import damage_file
from .program import OTHER, REFUSED, SAME, Finding

RECOMMEND_FROM = "recommend --threads 1 --top 5 --data"
EVALUATE_FROM = "evaluate --json --threads 1 --data"
RECOMMEND, EVALUATE = RECOMMEND_FROM + " @data", EVALUATE_FROM + " @data"
DISTILL = f"distill --data @data --dim 3 --k 5 --l 5 --list 30 {BATCH} --epochs 2 --quiet -o made"
PREPARE = "prepare --candidates 20 --min-user 2 -o made"


@dataclasses.dataclass
class Kind:
    """A kind of file: where it comes from, what reads it, and whether a hash protects it.

    Without a hash a damaged file may give another result.
    """

    name: str
    source: str  # in the base folder
    file: str  # its name in the try
    commands: list  # the files that they make are called made*
    hashed: bool = False
    others: list = dataclasses.field(default_factory=list)
    beside: list = dataclasses.field(default_factory=list)  # further files: source, name
    pipe: str = "fed"


def readers(option):
    """Commands that read vectors by an option, which is that of recommend."""
    teacher = option.replace("--model", "--teacher")
    return [f"{RECOMMEND} {option}", f"{EVALUATE} {option}",
            f"{DISTILL} --method rrd {teacher}"]


def text_format(name, options=""):
    return Kind(f"prepare {name}", name, name, [f"{PREPARE} {name} {options}"])


TRAINING = f"train --dim 4 {BATCH} --epochs 2 --quiet -o made"
NPY = "--model-user v.user.npy --model-item v.item.npy"
NPY_IDS = f"{NPY} --model-user-ids v.user_ids.txt --model-item-ids v.item_ids.txt"
ARRAYS = ["v.user.npy", "v.item.npy", "v.user_ids.txt", "v.item_ids.txt", "v.xxh128"]


def arrays(*left_out):
    """The files of an export as arrays, but some."""
    return [(f"arrays/{name}", name) for name in ARRAYS if name not in left_out]


def array_file(name):
    """A file of such an export, for which its list has a checksum, or that list."""
    return Kind(f"arrays {name}", f"arrays/{name}", name, readers(NPY_IDS), True,
                [f"arrays.other/{name}", "arrays/v.item.npy"], arrays(name))


FOREIGN = "--model file --model-user P --model-item Q"
KINDS = [
    Kind("data set", "data", "data",
         [f"{TRAINING} --data data", f"{RECOMMEND_FROM} data --model @bpr",
          f"{EVALUATE_FROM} data --model @bpr"], True, ["data.other"]),
    Kind("model bpr", "bpr", "file",
         [*readers("--model file"), f"{DISTILL} --method de --experts 3 --teacher file",
          "export file --format npy -o made"], True, ["bpr.other", "neumf"]),
    Kind("model neumf", "neumf", "file",
         [*readers("--model file"), f"{DISTILL} --method de --experts 3 --teacher file",
          "export file -o made --data @data"], True, ["neumf.other", "bpr"]),
    Kind("model foreign", "foreign", "file", readers(FOREIGN), False, ["bpr", "data"]),
    Kind("checkpoint export", "half/checkpoint", "checkpoint",
         ["export checkpoint -o made"], True, ["other-seed.checkpoint/checkpoint"]),
    Kind("lists", "lists", "file",
         [f"{EVALUATE} --lists file", f"{DISTILL} --method rrd --teacher file"], True,
         ["lists.other", "foreign-lists"]),
    Kind("lists foreign", "foreign-lists", "file",
         [f"{EVALUATE} --lists file", f"{DISTILL} --method rrd --teacher file"], False,
         ["lists"]),
    Kind("lists text", "lists.tsv", "file.tsv",
         [f"{EVALUATE} --lists file.tsv", f"{DISTILL} --method rrd --teacher file.tsv"]),
    Kind("lists plain", "lists.txt", "file.txt",
         [f"{EVALUATE} --lists file.txt", f"{DISTILL} --method rrd --teacher file.txt"]),
    *(array_file(name) for name in ARRAYS),
    Kind("npy without a list", "arrays/v.user.npy", "v.user.npy", readers(NPY), False,
         ["arrays.other/v.user.npy", "arrays/v.item.npy"], arrays("v.user.npy", "v.xxh128")),
    Kind("ids of rows", "all-users.txt", "ids.txt",
         [f"{RECOMMEND} {NPY} --model-user-ids ids.txt",
          f"{DISTILL} --method rrd --teacher @foreign --teacher-user P --teacher-item Q "
          "--teacher-user-ids ids.txt"], False, ["some-users.txt", "some-items.txt"], arrays()),
    Kind("ids of items", "some-items.txt", "ids.txt",
         [f"{RECOMMEND} --model @bpr --items ids.txt"], False, ["some-users.txt"]),
    Kind("ids of users", "some-users.txt", "ids.txt",
         [f"{RECOMMEND} --model @bpr --users-file ids.txt"], False, ["all-users.txt"]),
    Kind("recipe", "short.toml", "recipe.toml",
         ["reproduce --data citeulike=@users.tsv --recipes recipe.toml --models bpr --splits 0 "
          "--methods student,rrd --table 2 --work made.work -o made.report --dry-run",
          "search --data citeulike=@users.tsv --recipes recipe.toml --method rrd --grid k=2,3 "
          "--work made.work --dry-run"], False, ["config.toml", "users.tsv"]),
    Kind("configuration", "config.toml", "config.toml",
         [f"{TRAINING} --data @data --config config.toml",
          f"{RECOMMEND} --model @bpr --config config.toml"], False, ["short.toml"]),
    text_format("citeulike.dat", "--format citeulike"),
    text_format("adjacency.txt"),
    text_format("table.tsv", "--split last"),
    text_format("quoted.csv", "--split time"),
    text_format("ratings.inter", "--min-rating 2"),
    text_format("ratings.dat", "--split last"),
    text_format("packed.tsv.gz"),
]


def comparable(words, ended, folder):
    """What a command said and wrote, without times."""
    out = ended.out
    if "--json" in words:
        report = json.loads(out)
        for model in report["models"]:
            model.pop("top10_ms", None)
        out = json.dumps(report)
    made = {}
    for path in sorted(folder.glob("made*")):
        if path.is_file():
            made[path.name] = path.read_bytes()
    return out, made


def whole_result(lab, kind, command):
    """What a command says and writes of the whole file, found out once."""
    key = (kind.name, command)
    if key not in lab.cache:
        with lab.aside() as folder:
            place(lab, kind, folder)
            ended = lab.run(command).expect(0)
            lab.cache[key] = comparable(lab.words(command), ended, folder)
    return lab.cache[key]


def place(lab, kind, folder):
    """Puts a whole file, and what stands beside it, into a folder."""
    for source, name in [(kind.source, kind.file), *kind.beside]:
        shutil.copyfile(lab.base / source, folder / name)


def run_beside(lab, command, damaged, what, step):
    """Runs a command that meets a damaged file; `step` is what goes on beside it, if anything."""
    lab.note(f"# {damaged}: {what}")
    if step:
        lab.start_other(step)
    return lab.run(command).expect(0, 1, 2).expect_readable()


def damaged_file(kind):
    """The drill of a kind: damage, then one of its commands."""

    def prepare(lab, rng):
        command = rng.choice(kind.commands)
        place(lab, kind, lab.folder)
        others = [lab.base / other for other in kind.others]
        return command, damage_file(rng, lab.folder / kind.file, others, kind.pipe)

    def drill(lab, rng):
        command, (what, another, step) = prepare(lab, rng)
        expected = whole_result(lab, kind, command)
        ended = run_beside(lab, command, kind.file, what, step)
        if ended.code != 0:
            return REFUSED
        if comparable(lab.words(command), ended, lab.folder) == expected:
            return SAME
        # A whole file beside another one's checksums is damage, too.
        if kind.hashed and (kind.beside or not another):
            raise Finding(f"{kind.file}: {what}: another result, exit code 0")
        return OTHER

    drill.prepare = prepare
    return drill


def records(path):
    """The lines of a log without their seconds and checks. Raises Finding if one isn't a record."""
    result = []
    for number, line in enumerate(path.read_text(errors="backslashreplace").splitlines(), 1):
        try:
            record = json.loads(line)
            del record["seconds"], record["check"]
        except (ValueError, KeyError, TypeError):
            raise Finding(f"{path.name}, line {number} is no record: {line[:100]!r}") from None
        result.append(record)
    return result


def resumed(damaged):
    """The drill of a training that resumes beside a damaged checkpoint or log."""
    command = TRAIN + " -o made --log log --checkpoint checkpoint --resume"

    def prepare(lab, rng):
        for name in ("checkpoint", "log"):
            shutil.copyfile(lab.base / "half" / name, lab.folder / name)
        others = [lab.base / "other-seed.checkpoint" / damaged]
        pipe = "fed" if damaged == "checkpoint" else "read"
        return damage_file(rng, lab.folder / damaged, others, pipe)

    def expected(lab):
        if command not in lab.cache:
            with lab.aside() as folder:
                shutil.copytree(lab.base / "half", folder, dirs_exist_ok=True)
                lab.run(command).expect(0)
                lab.cache[command] = (folder / "made").read_bytes(), records(folder / "log")
        return lab.cache[command]

    def drill(lab, rng):
        model, log = expected(lab)
        what, _, step = prepare(lab, rng)
        ended = run_beside(lab, command, damaged, what, step)
        if ended.code != 0:
            return REFUSED
        if (lab.folder / "made").read_bytes() != model:
            raise Finding(f"{damaged}: {what}: another model, exit code 0")
        if (lab.folder / "log").is_file():
            foreign = [r for r in records(lab.folder / "log") if r not in log]
            if foreign:
                raise Finding(f"{damaged}: {what}: the log has a line of no epoch of this run: "
                              f"{json.dumps(foreign[0])[:200]}")
            if damaged == "checkpoint" and records(lab.folder / "log") != log:
                raise Finding(f"{damaged}: {what}: another log, exit code 0")
        return SAME

    drill.prepare = prepare
    return drill


def log_over_file(lab, rng):
    """--log must not destroy what is no log, nor, by a link, the run's own input."""
    kind = rng.choice(["model", "input", "checkpoint", "lists", "text"])
    source = {"model": "bpr", "input": "data", "checkpoint": "half/checkpoint",
              "lists": "lists", "text": "users.tsv"}[kind]
    precious = lab.folder / "precious"
    shutil.copyfile(lab.base / source, precious)
    link = rng.choice(["name", "hard link", "symbolic link"])
    log = "precious"
    if link == "hard link":
        log = "log"
        os.link(precious, lab.folder / log)
    elif link == "symbolic link":
        log = "log"
        os.symlink("precious", lab.folder / log)
    command = TRAIN if kind != "input" else TRAIN.replace("@data", "precious")
    if rng.random() < 0.5:
        command += " --checkpoint checkpoint"
    lab.note(f"cp {lab.base / source} precious  # --log names it by {link}")
    ended = lab.run(f"{command} -o made --log {log}").expect(0, 1, 2)
    if precious.read_bytes() != (lab.base / source).read_bytes():
        raise Finding(f"--log destroyed a file ({kind}, by {link}), exit code {ended.code}")
    return REFUSED if ended.code else SAME


ESCAPES = ["\x1b[31mred", "\x1b]0;title\x07", "\x9b2J", "a\rb", "bell\x07", "\x08\x08", "\x7f"]


def hostile_file(lab, rng):
    """A file whose names hold what controls a terminal, and a command that shows them."""
    def name():
        text = rng.choice(ESCAPES) + str(rng.randrange(100))
        return text

    folder = lab.folder
    kind = rng.choice(["info", "tensor", "hash", "ids", "text", "config", "recipe", "lists"])
    if kind in ("info", "tensor", "hash"):
        metadata = {name(): name(), "options": json.dumps({name(): name()}),
                    "format": name(), "metrics": json.dumps({name(): {name(): 1}})}
        if kind == "hash":
            metadata = {**metadata_of(lab.base / "bpr"), "dataset_hash": name()}
            metadata = {k: v for k, v in metadata.items() if k not in ("hash", "file_hash")}
        tensors = [(n, "F32", [1, 2], bytes(8)) for n in (name(), "user_embedding",
                                                         "item_embedding")]
        (folder / "file").write_bytes(safetensors(tensors, metadata))
        return rng.choice(["info file", f"{RECOMMEND} --model file",
                           f"{EVALUATE} --model file", "export file -o made",
                           f"{DISTILL} --method rrd --teacher file"])
    if kind == "ids":
        lines = [f"{name()}-{u}\t{i}\n" for u in range(8) for i in range(6)]
        (folder / "table.tsv").write_text("".join(lines))
        return "prepare table.tsv --header no --candidates 2 -o made"
    if kind == "text":
        lines = [f"{u}\t{i}\n" for u in range(8) for i in range(6)]
        lines.insert(rng.randrange(len(lines)), name() + "\t" * rng.randrange(3) + name() + "\n")
        (folder / "table.tsv").write_text("".join(lines))
        return "prepare table.tsv --candidates 2 -o made" + rng.choice(
            ["", " --on-bad-line skip", " --split last", " --user-column '" + name() + "'"])
    if kind == "lists":
        (folder / "ids.txt").write_text(name() + "\n" + name() + "\n")
        return rng.choice([f"{RECOMMEND} --model @bpr --users-file ids.txt",
                           f"{RECOMMEND} --model @bpr --items ids.txt"])
    value = json.dumps(name())  # TOML's escapes are these
    key = rng.choice(["method", "preset", "lr", "model", json.dumps(name())])
    if kind == "config":
        (folder / "c.toml").write_text(f"{key} = {value}\n")
        return f"{DISTILL} --teacher @bpr --config c.toml"
    (folder / "r.toml").write_text(f"{key} = {value}\n[bpr.teacher]\n[bpr.student]\n")
    return ("reproduce --data citeulike=@users.tsv --recipes r.toml --models bpr --work made.work "
            "-o made.report --methods student --dry-run")


def terminal(lab, rng):
    """What a file holds must not reach a terminal raw."""
    command = hostile_file(lab, rng)
    ended = lab.on_terminal(command).expect(0, 1, 2).expect_readable()
    return REFUSED if ended.code else OTHER


terminal.prepare = hostile_file
DRILLS = {
    **{f"damage: {kind.name}": damaged_file(kind) for kind in KINDS},
    "damage: checkpoint": resumed("checkpoint"),
    "damage: log": resumed("log"),
    "log over a file": log_over_file,
    "terminal": terminal,
}
