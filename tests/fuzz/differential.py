#!/usr/bin/python3
"""differential.py - SubRip and WebVTT as fenceline reads them, beside independent readers.

Usage: tests/fuzz/differential.py FENCELINE [SEED [FILES]]        (make fuzz-diff SEED= N=)

Writes FILES generated files of each format (the same ones for the same SEED), some of them valid, the others
with one kind of slight damage, most often of one cue; has `fenceline check --rows` and the readers of Debian's
python3-srt, python3-pysrt and python3-webvtt read them; and compares how many cues there are, their times and
their texts. A reader that refuses a file does not count, and there may be none who refuses what is valid.

Where a reader is meant to differ, the kind of file stands in ON_PURPOSE with the reason and with how many cues
may differ at most: all others of the file must be the same. Any other difference is shown, its file is kept,
and the exit code is 1. So it is if ON_PURPOSE lists what does not differ any more. 77: a reader is missing.

Texts are compared as a listener hears them: without tags and without white space around lines. fenceline's
speaker goes back in front of its text. Cues without text are left out, and the rest is sorted by start.
"""
import collections
import html
import json
import os
import random
import re
import subprocess
import sys
import tempfile

try:
    import pysrt
    import srt
    import webvtt
except ImportError as error:
    print(f"{error}; install the Debian packages python3-srt, python3-pysrt and python3-webvtt, or run tools/setup "
          f"check", file=sys.stderr)
    sys.exit(77)

SHOWN = 5

DROPPED = "it keeps the cue; one that ends before it starts can be shown nowhere, so we drop it with a warning"
MINUTES = "it adds 75 minutes up; a minute beyond 59 is a typing error whose meaning nobody knows, so we drop the cue " \
          "with a warning"
FRACTION = "it reads ',5' as 5 ms; a fraction is a fraction, so we read 500 ms"
STRICT_TIME = "the algorithm of the W3C drops a cue whose time is not of two digits, below 60, with a point, and so do we"

# (reader, kind of file): (cues of ours or of theirs that may differ, why)
ON_PURPOSE = {
    ("srt", "end-before-start"): (1, DROPPED),
    ("pysrt", "end-before-start"): (1, DROPPED),
    ("webvtt", "end-before-start"): (1, DROPPED + "; the specification calls such a cue an error of the file"),
    ("srt", "minutes-60"): (1, MINUTES),
    ("pysrt", "minutes-60"): (1, MINUTES),
    ("webvtt", "minutes-60"): (1, STRICT_TIME),
    ("webvtt", "comma"): (1, STRICT_TIME),
    ("srt", "short-fraction"): (1, FRACTION),
    ("pysrt", "short-fraction"): (1, FRACTION),
    ("srt", "no-hours"): (1, "it reads '00:02,959' as 0 hours, 2 minutes and 959 seconds; we read 2.959 seconds"),
    ("pysrt", "no-hours"): (1, "it needs hours, and drops the cue in silence"),
    ("pysrt", "no-blank-line"): (2, "it reads the next index and timing as text; we begin a cue at every timing line"),
    ("pysrt", "blank-in-text"): (1, "it ends a cue at the first blank line and drops the rest; SubRip's cue goes on to "
                                    "the next timing line"),
    ("srt", "decimal-line"): (1, "a file without indexes, where a text ends with the line '3.5': it takes that for the "
                                 "index of the next cue; an index is a whole number"),
    ("pysrt", "cut"): (1, "it drops an index and half a timing line at the end of the file; what is no timing line is "
                          "text, which goes on to the next one"),
}


# ---- generating ----

WORDS = ("boats harbour good morning Ärger été 海 🚀 10:30 tide and the of net http://example.org 3.5 no-one "
         "it's wind").split()
NAMES = ["Ann", "Ben Cy", "Zoë", "Dr. No"]


def srt_time(ms, mark=","):
    return f"{ms // 3600000:02}:{ms // 60000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def text_of(rng, has_tags):
    lines = []
    for number in range(rng.choice([1, 1, 2])):
        words = [rng.choice(WORDS) for _ in range(rng.randint(1, 6))]
        if has_tags and rng.random() < 0.3:
            at, tag = rng.randrange(len(words)), rng.choice("ibu")
            words[at] = f"<{tag}>{words[at]}</{tag}>"
        lines.append(" ".join(words))
    return lines


def cues_of(rng):
    at, cues = rng.choice([0, 500, 3590000]), []
    for _ in range(rng.randint(1, 8)):
        start = at + rng.randint(0, 4000)
        end = start + rng.randint(1, 5000)
        at = rng.choice([end, end, start])
        cues.append({"start": start, "end": end, "text": text_of(rng, True)})
        if rng.random() < 0.3:
            cues[-1]["name"] = rng.choice(NAMES)
    return cues


def timing(cue, mark):
    return f"{srt_time(cue['start'], mark)} --> {srt_time(cue['end'], mark)}"


SRT_KINDS = ["valid"] * 6 + ["crlf", "bom", "no-index", "point", "coordinates", "spaces", "many-blanks", "no-end",
                             "unsorted", "no-blank-line", "blank-in-text", "digits", "no-hours", "short-fraction",
                             "minutes-60", "end-before-start", "no-text", "long-hours", "decimal-line", "cut"]


def make_srt(rng, kind):
    cues = cues_of(rng)
    hit = rng.randrange(len(cues))
    if kind == "unsorted":
        rng.shuffle(cues)
    blocks = []
    for number, cue in enumerate(cues):
        here = kind if number == hit else ""
        if here == "long-hours":
            cue["start"], cue["end"] = cue["start"] + 98 * 3600000, cue["end"] + 98 * 3600000
        if here == "end-before-start":
            cue["start"], cue["end"] = cue["end"], cue["start"]
        head = timing(cue, "." if here == "point" else ",")
        if here == "coordinates":
            head += " X1:100 X2:200 Y1:10 Y2:20"
        if here == "spaces":
            head = head.replace(" --> ", rng.choice(["  -->  ", " -->   "])) + "  "
        if here == "no-hours":
            head = head.replace(f"{cue['start'] // 3600000:02}:", "", 1)
        if here == "short-fraction":
            head = re.sub(r",(\d)\d\d", r",\1", head)
        if here == "minutes-60":
            head = re.sub(r":\d\d:(\d\d,\d{3}) -->", r":75:\1 -->", head)
            head = re.sub(r"--> \d\d:", "--> 09:", head)
        lines = list(cue["text"])
        if "name" in cue:
            lines[0] = f"{cue['name']}: {lines[0]}"
        if here == "blank-in-text":
            lines.insert(1, "")
            lines.append("after the gap")
        if here == "digits":
            lines.append(str(rng.randint(0, 99)) + rng.choice(["", " boats"]))
            lines.append("behind the digits")
        if here == "no-text":
            lines = []
        if here == "decimal-line":
            lines.append("3.5")
        elif lines and lines[-1] == "3.5":
            lines.append("boats")
        index = [] if kind in ("no-index", "decimal-line") else [str(number + 1)]
        blocks.append("\n".join(index + [head] + lines) + "\n" +
                      ("" if here == "no-blank-line" else "\n\n\n" if kind == "many-blanks" else "\n"))
    text = "".join(blocks)
    if kind == "no-end":
        text = text.rstrip("\n")
    if kind == "cut":
        text = text[:text.rindex("-->")] if rng.random() < 0.3 else text[:-rng.randint(1, 10)]
    if kind == "crlf":
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if kind == "bom" else "") + text


VTT_KINDS = ["valid"] * 6 + ["crlf", "bom", "header", "ids", "settings", "note", "style", "no-hours", "no-end",
                             "many-blanks", "entities", "voice", "tags", "unsorted", "no-blank-line", "comma",
                             "minutes-60", "end-before-start", "no-text", "spaces", "no-signature"]


def make_vtt(rng, kind):
    cues = cues_of(rng)
    hit = rng.randrange(len(cues))
    if kind == "unsorted":
        rng.shuffle(cues)
    blocks = [{"header": "WEBVTT - a title\nKind: captions\n\n", "no-signature": "\n"}.get(kind, "WEBVTT\n\n")]
    if kind == "style":
        blocks.append("STYLE\n::cue(b) {\n  color: red;\n}\n\n")
    for number, cue in enumerate(cues):
        here = kind if number == hit else ""
        if here == "end-before-start":
            cue["start"], cue["end"] = cue["end"], cue["start"]
        head = timing(cue, "," if here == "comma" else ".")
        if here == "settings":
            head += " align:start line:0 position:10%"
        if here == "spaces":
            head = head.replace(" --> ", "\t -->  ") + " \t"
        if kind == "no-hours" and cue["end"] < 3600000:
            head = head.replace("00:", "", 1).replace("--> 00:", "--> ", 1)
        if here == "minutes-60":
            head = re.sub(r":\d\d:(\d\d\.\d{3}) -->", r":75:\1 -->", head)
            head = re.sub(r"--> \d\d:", "--> 09:", head)
        lines = list(cue["text"])
        if kind == "voice" and "name" in cue:
            lines[0] = f"<v {cue['name']}>{lines[0]}"
        if here == "entities":
            lines.append("&lt;b&gt; &amp; more &#233;&#x1F680; &amp;lt;")
        if here == "tags":
            lines.append("<c.loud>one</c> <lang en>two</lang> <00:00:01.000><ruby>k<rt>r</rt></ruby>")
        if here == "no-text":
            lines = []
        index = [rng.choice([str(number + 1), "intro", "a - b"])] if kind == "ids" else []
        if here == "note":
            blocks.append("NOTE a remark\nof two lines\n\n")
        blocks.append("\n".join(index + [head] + lines) + "\n" +
                      ("" if here == "no-blank-line" else "\n\n\n" if kind == "many-blanks" else "\n"))
    text = "".join(blocks)
    if kind == "no-end":
        text = text.rstrip("\n")
    if kind == "crlf":
        text = text.replace("\n", "\r\n")
    return ("\ufeff" if kind == "bom" else "") + text


# ---- reading ----

def plain(text):
    """Without tags and white space around lines."""
    text = re.sub(r"</?(?:[ibu]|font|c|lang|ruby|rt|v)\b[^<>\n]*>|<[0-9:.]+>", "", text)
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())


def sorted_cues(cues):
    cues = [(start, end, plain(text)) for start, end, text in cues]
    return sorted((cue for cue in cues if cue[2]), key=lambda cue: cue[0])


def read_srt(text):
    return [(round(cue.start.total_seconds() * 1000), round(cue.end.total_seconds() * 1000), cue.content)
            for cue in srt.parse(text.lstrip("\ufeff"))]


def read_pysrt(text):
    return [(cue.start.ordinal, cue.end.ordinal, cue.text)
            for cue in pysrt.SubRipFile.from_string(text.lstrip("\ufeff"))]


def read_webvtt(path):
    return [(round(cue.start_in_seconds * 1000), round(cue.end_in_seconds * 1000),
             html.unescape(re.sub(r"<v[ .][^>]*?([^ >][^>]*)>", lambda m: "", cue.raw_text)))
            for cue in webvtt.read(path)]


def read_fenceline(program, folder):
    """The cues of each file, or the message."""
    run = subprocess.run([program, "check", "--json", "--rows", folder], capture_output=True, check=False)
    if run.returncode not in (0, 4):
        sys.exit(f"fenceline check ended with {run.returncode}: {run.stderr.decode()}")
    answers = {}
    for line in run.stdout.decode().splitlines():
        answer = json.loads(line)
        name = os.path.basename(answer["file"])
        answers[name] = answer.get("error") or [
            (row["start_ms"], row["end_ms"], row["speaker"], row["body"]) for row in answer["rows"]]
    return answers


def own_cues(answer, has_labels):
    if isinstance(answer, str):
        return []  # no rows, which is what the others say by an empty list
    return [(start, end, f"{speaker}: {text}" if speaker and has_labels else text)
            for start, end, speaker, text in answer]


# ---- comparing ----

def verdict_of(reader, kind, ours, theirs):
    """"same", "on purpose" or "DIFFERENT"."""
    if ours == theirs:
        return "same"
    most = ON_PURPOSE.get((reader, kind), (0, ""))[0]
    a, b = collections.Counter(ours), collections.Counter(theirs)
    return "on purpose" if (a - b).total() <= most and (b - a).total() <= most and a != b else "DIFFERENT"


def first_difference(ours, theirs):
    for number, (a, b) in enumerate(zip(ours, theirs)):
        if a != b:
            return f"cue {number + 1}: fenceline {a!r}, the other {b!r}"
    return f"fenceline has {len(ours)} cues, the other {len(theirs)}"


def main():
    program = sys.argv[1]
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    rng = random.Random(seed)
    folder = tempfile.mkdtemp(prefix="fenceline-diff.")
    files = {}
    for kinds, make, suffix in ((SRT_KINDS, make_srt, "srt"), (VTT_KINDS, make_vtt, "vtt")):
        for number in range(count):
            kind = kinds[number % len(kinds)]
            text = make(rng, kind)
            files[f"f{number:06}.{suffix}"] = (kind, text)
            with open(os.path.join(folder, f"f{number:06}.{suffix}"), "w", encoding="utf-8", newline="") as out:
                out.write(text)
    answers = read_fenceline(program, folder)
    tally, shown, cue_count = collections.Counter(), 0, 0
    for name, (kind, text) in files.items():
        path = os.path.join(folder, name)
        readers = {"srt": lambda: read_srt(text), "pysrt": lambda: read_pysrt(text)}
        if name.endswith(".vtt"):
            readers = {"webvtt": lambda: read_webvtt(path)}
        ours = sorted_cues(own_cues(answers[name], name.endswith(".srt")))
        keep = False
        for reader, read in readers.items():
            try:
                theirs = sorted_cues(read())
            except Exception as error:  # whatever it raises: it does not claim to understand this file
                if kind == "valid":
                    sys.exit(f"python3-{reader} refuses a valid file, {path}: {error}")
                tally[reader, kind, "refused"] += 1
                continue
            cue_count += len(theirs)
            verdict = verdict_of(reader, kind, ours, theirs)
            tally[reader, kind, verdict] += 1
            if verdict == "DIFFERENT":
                keep = True
                shown += 1
                if shown <= SHOWN:
                    print(f"{path} ({kind}, python3-{reader}): {first_difference(ours, theirs)}", file=sys.stderr)
        if not keep:
            os.unlink(path)
    if not os.listdir(folder):
        os.rmdir(folder)
    report(tally)
    stale = [pair for pair in ON_PURPOSE if not tally[pair + ("on purpose",)] and tally[pair + ("same",)] >= 10]
    for pair in stale:
        print(f"python3-{pair[0]} reads '{pair[1]}' as we do: take it out of ON_PURPOSE", file=sys.stderr)
    different = sum(number for (_, _, verdict), number in tally.items() if verdict == "DIFFERENT")
    print(f"seed {seed}: {len(files)} files, {cue_count} cues compared, {different} files read differently without a reason")
    sys.exit(1 if different or stale else 0)


def report(tally):
    print(f"{'reader':<16} {'kind of file':<18} {'same':>6} {'on purpose':>11} {'refused':>8} {'DIFFERENT':>10}")
    for reader, kind in sorted({key[:2] for key in tally}):
        numbers = [tally[reader, kind, verdict] for verdict in ("same", "on purpose", "refused", "DIFFERENT")]
        print(f"python3-{reader:<8} {kind:<18} {numbers[0]:>6} {numbers[1]:>11} {numbers[2]:>8} {numbers[3]:>10}")


if __name__ == "__main__":
    main()
