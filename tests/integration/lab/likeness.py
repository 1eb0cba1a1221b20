"""Running one script of commands against two daemons, and comparing what they say."""

import dataclasses
import difflib
import os
import re
import shlex
import time

from .waiting import in_parallel


@dataclasses.dataclass
class Step:
    """One command. In its words @dir is a folder of the side's own, @registry a registry, @side a
    word that names the side, @since the time (of the script's start) and @now that of the command."""

    words: str
    input: str = ""
    # Lines of the output may come in any order.
    is_set: bool = False


def steps(text):
    """One command a line; a line that begins with # is a remark, `<<< TEXT` gives it input (with
    \\n for the ends of lines), and a leading `~` says that lines of its output have no order."""
    out = []
    for line in text.strip().splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        is_set = line.startswith("~")
        words, _, given = line.lstrip("~ ").partition(" <<< ")
        out.append(Step(words, given.replace("\\n", "\n"), is_set))
    return out


@dataclasses.dataclass
class Rule:
    """Something in which outputs may differ, and why. What matches is replaced on both sides."""

    pattern: str
    instead: str
    why: str

    def apply(self, text):
        return re.sub(self.pattern, self.instead, text, flags=re.MULTILINE)


# What differs from one engine to the other, or from one run to the next.
ENGINE_RULES = [
    Rule(r"\b[0-9a-f]{64}\b", "<id>", "IDs are random"),
    Rule(r"\b[0-9a-f]{12}\b", "<id>", "the same, cut short"),
    Rule(
        r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?( ?Z| [+-]\d{4} [A-Z]+|[+-]\d\d:\d\d)?",
        "<time>",
        "moments",
    ),
    Rule(
        r"\b((About|Less than) )?(an?|\d+) (second|minute|hour)s?\b",
        "<ago>",
        "how long something is ago depends on how fast the machine is",
    ),
    Rule(r"\(\d{10}(\.\d+)?\)", "(<time>)", "moments"),
    Rule(r"\b172\.\d+\.", "172.<n>.", "an engine takes the subnet that comes next"),
    Rule(r"^\d+ +(sh|sleep)$", "<pid> \\1", "processes have the numbers of the host"),
    Rule(
        r'^time="<time>" level=error msg="Can\'t close tar writer: [^"]*"\n?',
        "",
        "which end of its own pipe a client that is refused closes first is chance",
    ),
    Rule(
        r'^time="<time>" level=error msg="error waiting for container: context canceled"\n?',
        "",
        "whether an old client sees its own end of waiting is chance",
    ),
    Rule(
        r"^<id>: (Layer already exists|Mounted from \S+)$",
        "<id>: Pushed",
        "whether the registry has a layer already depends on who of two was first",
    ),
    Rule(r"(?<=\S)  +(?=\S)", "  ", "columns are as wide as what stands in them"),
    Rule(r"[ \t]+$", "", "the same for the last column"),
]


class Side:
    """A daemon, as seen by one client."""

    def __init__(self, name, docker, folder, registry, names=()):
        """docker(folder): the client. names: words for what differs by construction, each replaced by
        a word of both sides: [("node-1", "<node>"), ...]"""
        self.name, self.folder = name, folder
        self.docker = docker(folder)
        self.registry = registry
        self.names = [*names, (folder, "<dir>"), (name, "<side>")]
        self.since = 0
        os.makedirs(folder, exist_ok=True)

    def words(self, step):
        known = {
            "@dir": self.folder,
            "@registry": self.registry,
            "@side": self.name,
            "@since": str(self.since),
            "@now": f"{time.time():.9f}",
        }
        for key, value in known.items():
            step = step.replace(key, value)
        return shlex.split(step)

    def run(self, script):
        """[(step, status, stdout, stderr)]"""
        self.since = int(time.time())
        out = []
        for step in script:
            given = step.input.replace("@registry", self.registry)
            done = self.docker.run(*self.words(step.words), input=given, check=False)
            out.append((step, *done))
        return out

    def normalise(self, text, rules, is_set):
        for name, instead in self.names:
            text = text.replace(name, instead)
        for rule in rules:
            text = rule.apply(text)
        return "\n".join(sorted(text.splitlines())) if is_set else text


@dataclasses.dataclass
class Said:
    """What one side said at a step."""

    status: int
    out: str
    complaint: str

    def lines(self):
        head = [f"status {self.status}", *self.out.splitlines()]
        return [*head, "-- stderr", *self.complaint.splitlines()]


@dataclasses.dataclass
class Difference:
    """Two sides that said different things at one step, the number `at` of the script."""

    at: int
    step: Step
    left: Said
    right: Said

    def left_lost_output(self):
        """Whether all there is to it is that the left side printed nothing, on stdout or on stderr,
        where the right one did."""
        return _lost_output(self.left, self.right)

    def right_lost_output(self):
        return _lost_output(self.right, self.left)

    def __str__(self):
        texts = self.left.lines(), self.right.lines()
        diff = difflib.unified_diff(*texts, "left", "right", lineterm="", n=1)
        return f"$ docker {self.step.words}\n" + "\n".join(diff)


def _lost_output(one, other):
    pairs = [(one.out, other.out), (one.complaint, other.complaint)]
    return one.status == other.status and all(a in (b, "") for a, b in pairs)


@dataclasses.dataclass
class Comparison:
    """One run of a script on two sides."""

    left: list  # of Said, one a step
    right: list
    differences: list

    def __str__(self):
        return "\n\n".join(map(str, self.differences))


def compare(sides, script, rules, status_only=(), different=()):
    """Runs the script on both sides at the same time. status_only: words of commands of which only
    the status is compared; different: of commands of which nothing is, because their statuses must
    differ."""
    runs = in_parallel(lambda side: side.run(script), sides)
    said = [
        [
            Said(
                status,
                side.normalise(out, rules, step.is_set),
                side.normalise(err, rules, step.is_set),
            )
            for step, status, out, err in run
        ]
        for side, run in zip(sides, runs)
    ]
    differences = []
    for at, (step, left, right) in enumerate(zip(script, *said)):
        if step.words in different and (left.status == 0) != (right.status == 0):
            continue
        if step.words in status_only and left.status == right.status:
            continue
        if left != right:
            differences.append(Difference(at, step, left, right))
    return Comparison(*said, differences)


def together(a, b):
    """Two shapes as one, whichever came first."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {key: together(a.get(key), b.get(key)) for key in {**a, **b}}
    if isinstance(a, list) and isinstance(b, list) and a and b:
        return [together(a[0], b[0])]
    return a or b


def shape(value):
    """The names and kinds of what is in a JSON value, without the values: a list is what its members
    are together."""
    if isinstance(value, dict):
        return {key: shape(member) for key, member in value.items()}
    if isinstance(value, list):
        merged = {}
        for member in value:
            if isinstance(member, dict):
                merged = together(merged, shape(member))
        return [merged] if merged else []
    return None if value is None else type(value).__name__


def shape_differences(left, right, path=""):
    """["path: what"]; nothing stands for no value, an empty list and an empty object."""
    if not left and not right:
        return []
    if isinstance(left, dict) and isinstance(right, dict):
        found = []
        for key in sorted(left.keys() | right.keys()):
            if key not in left or key not in right:
                found.append(f"{path}.{key}: only on the {'left' if key in left else 'right'}")
            else:
                found += shape_differences(left[key], right[key], f"{path}.{key}")
        return found
    if isinstance(left, list) and isinstance(right, list):
        both = left and right
        return shape_differences(left[0], right[0], f"{path}[]") if both else []
    if not left or not right or left == right or not isinstance(left, type(right)):
        same = left == right or left is None or right is None
        return [] if same else [f"{path}: {left} and {right}"]
    return [f"{path}: {left} and {right}"]
