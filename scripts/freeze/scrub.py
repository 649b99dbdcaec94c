"""Takes out of texts what differs from run to run or from machine to machine, and nothing else."""
import re

# Lines that come by the clock.
PROGRESS = re.compile(rb'^(?:.*  RSS \d.*|\{"event":"progress".*\})\n', re.MULTILINE)
# The seconds of a report are an object.
SECONDS_OBJECT = re.compile(rb'"seconds":\s*\{[^}]*\}')
NUMBER = re.compile(rb"(:\s*)[-+.\deE]+")
FIGURES = [
    (re.compile(rb'("(?:t|seconds\w*|threads|peak_rss_bytes|rss_bytes|tokens_per_second)":\s*)'
                rb"[-+.\deE]+"), rb"\g<1>0"),
    (re.compile(rb'("isa":\s*)"\w+"'), rb'\g<1>"ISA"'),
    (re.compile(rb"(computing in \w+ on )\w+"), rb"\g<1>ISA"),
    (re.compile(rb"\b\d+(?:\.\d+)? (?:s|min|h)(?![-\w])"), rb"TIME"),
    # What a process used; a plan's "peak N MiB = program ..." is a formula and stays.
    (re.compile(rb"(peak (?:memory )?)\d+(?:\.\d+)? (?:bytes|[KMG]iB)(?! =)"), rb"\g<1>MEMORY"),
]


def text(data, root):
    """`root` is the folder that holds everything: the one absolute path that can occur."""
    data = data.replace(str(root).encode(), b"ROOT")
    data = PROGRESS.sub(b"", data)
    data = SECONDS_OBJECT.sub(lambda found: NUMBER.sub(rb"\g<1>0", found.group()), data)
    for pattern, replacement in FIGURES:
        data = pattern.sub(replacement, data)
    return data


def file(path, root):
    """Filters a file in place, so that folders made from its folder are filtered as well."""
    mode = path.stat().st_mode
    path.chmod(0o600)
    path.write_bytes(text(path.read_bytes(), root))
    path.chmod(mode)
