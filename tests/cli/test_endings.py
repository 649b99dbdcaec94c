"""However a run ends, nothing of it stays on disk, or the next one clears it away and says so."""
import os
import signal
import subprocess
import time

import numpy as np
import pytest
from support import program

GONE = -signal.SIGPIPE


@pytest.fixture(scope="module")
def long_calib(demo_calib, tmp_path_factory):
    """Prompts that keep one thread busy for seconds."""
    file = tmp_path_factory.mktemp("calib") / "long.jsonl"
    file.write_text(demo_calib.read_text(encoding="utf-8") * 5, encoding="utf-8")
    return file


@pytest.fixture
def slow(demo_model, long_calib, tmp_path):
    """The command line of a run of some seconds, whose output is tmp_path/out."""
    return [program.binary(), "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a8", "--calib", long_calib, "--threads", "1", "--compute", "f32"]


def work_folders(folder):
    return [path for path in folder.iterdir() if ".pare-tmp-" in path.name]


def start(command, folder, **options):
    """The process once it has begun to write."""
    running = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    deadline = time.monotonic() + 60
    while not any((path / "new").exists() for path in work_folders(folder)):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    return running


def left(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGTERM", "SIGQUIT", "SIGXCPU", "SIGALRM", "SIGUSR1", "SIGUSR2"])
def test_a_request_to_end_leaves_nothing(slow, tmp_path, name):
    running = start(slow, tmp_path)
    running.send_signal(getattr(signal, name))
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and b"error[E0901]" in err
    assert left(tmp_path) == []


def test_a_terminal_that_goes_away_says_so_twice(slow, tmp_path):
    """The terminal and its shell send SIGHUP both; the second must not kill what the first one asked to clean up."""
    running = start(slow, tmp_path)
    running.send_signal(signal.SIGHUP)
    time.sleep(0.03)  # else the two become one
    running.send_signal(signal.SIGHUP)
    running.communicate(timeout=60)
    assert running.returncode == 130 and left(tmp_path) == []


@pytest.mark.parametrize("name", ["SIGHUP", "SIGQUIT"])
def test_an_ignored_signal_stays_ignored(slow, tmp_path, name):
    """nohup starts programs so."""
    running = start(slow, tmp_path, preexec_fn=lambda: signal.signal(getattr(signal, name), signal.SIG_IGN))
    running.send_signal(getattr(signal, name))
    running.communicate(timeout=120)
    assert running.returncode == 0 and left(tmp_path) == ["out"]


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_reader_that_goes_ends_the_run(slow, tmp_path, options):
    """pare … | head -1. With --json it has something to say all the time; else only at the end, when the output is complete."""
    running = start([*slow, *options], tmp_path)
    running.stdout.readline()
    running.stdout.close()
    err = running.stderr.read()
    assert running.wait(timeout=60) == GONE, err
    assert b"error" not in err and left(tmp_path) == ([] if options else ["out"])


def test_a_reader_of_messages_may_go(slow, tmp_path):
    running = start(slow, tmp_path)
    running.stderr.close()
    out = running.stdout.read()
    assert running.wait(timeout=120) == 0 and b"wrote" in out and left(tmp_path) == ["out"]


def test_lists_and_help_end_quietly_without_a_reader():
    for words in (["list"], ["--help"], ["list", "--json"]):
        for ignored, code in ((False, GONE), (True, 3)):
            read, write = os.pipe()
            os.close(read)
            done = subprocess.run([program.binary(), *words], stdout=write, stderr=subprocess.PIPE, restore_signals=not ignored,
                                  preexec_fn=(lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN)) if ignored else None)
            os.close(write)
            assert done.returncode == code and (b"E0202" in done.stderr) == ignored, (words, done)


def test_closed_standard_files_take_no_model_file(demo_model, tmp_path):
    """A file opened as number 1 would get the lines of the result."""
    def close():
        for fd in (0, 1, 2):
            os.close(fd)

    done = subprocess.run([program.binary(), "quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a16"], preexec_fn=close)
    assert done.returncode == 3
    program.run("quantize", demo_model, "-o", tmp_path / "again", "--scheme", "w8a16")
    if (tmp_path / "out").exists():
        for path in (tmp_path / "again").iterdir():
            if path.name != "report.json":
                assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes(), path.name


# --- what no program can clean up itself ------------------------------------------------------------------------------


def kill(running):
    running.kill()
    running.communicate(timeout=60)


@pytest.mark.parametrize("verb", ["quantize", "compress", "eval"])
def test_the_next_run_removes_what_a_killed_one_left(pare, slow, demo_model, tmp_path, verb):
    kill(start(slow, tmp_path))
    (old,) = work_folders(tmp_path)
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1, 5, 7]}\n')
    words = {"quantize": ("quantize", demo_model, "-o", tmp_path / "other", "--scheme", "w8a16"), "compress": ("compress", demo_model, "-o", tmp_path / "other"),
             "eval": ("eval", demo_model, "--input-ids", ids, "--logits-to", tmp_path / "other")}[verb]
    text = pare(*words).stderr.decode()
    assert [line for line in text.splitlines() if str(old) in line] == [f"removed {old}, which a run that was killed had left behind"]
    assert left(tmp_path) == ["ids.jsonl", "other"]


def test_what_a_living_run_uses_is_left_alone(pare, slow, demo_model, tmp_path):
    running = start(slow, tmp_path)
    (folder,) = work_folders(tmp_path)
    running.send_signal(signal.SIGSTOP)
    text = pare("quantize", demo_model, "-o", tmp_path / "other", "--scheme", "w8a16").stderr.decode()
    assert str(folder) not in text and folder.is_dir()
    running.send_signal(signal.SIGCONT)
    running.communicate(timeout=120)
    assert running.returncode == 0 and left(tmp_path) == ["other", "out"]


def test_a_number_in_the_name_proves_nothing(pare, slow, demo_model, tmp_path):
    """The process id of a dead run may be another program's by now, and a name alone may be anybody's."""
    kill(start(slow, tmp_path))
    (old,) = work_folders(tmp_path)
    reused = tmp_path / f".out.pare-tmp-{os.getpid()}-0"
    old.rename(reused)
    foreign = tmp_path / ".x.pare-tmp-999999999-0"
    foreign.mkdir()
    (foreign / "mine").write_text("1")
    near = tmp_path / ".x.pare-tmp-notes"
    near.mkdir()
    text = pare("compress", demo_model, "-o", tmp_path / "other").stderr.decode()
    assert f"removed {reused}" in text and f"{foreign} looks like" in text and str(near) not in text
    assert (foreign / "mine").is_file() and near.is_dir() and not reused.exists()


def test_what_was_killed_before_it_began_is_removed(pare, demo_model, tmp_path):
    for name, files in ((".a.pare-tmp-1-0", ()), (".b.pare-tmp-1-0", ("in-use",))):
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
    assert pare("compress", demo_model, "-o", tmp_path / "other").stderr.decode().count("removed ") == 2
    assert left(tmp_path) == ["other"]


@pytest.mark.parametrize("line", [1, 2])
def test_a_folder_of_another_machine_is_named_and_kept(pare, slow, demo_model, tmp_path, line):
    """On a shared disk, where its lock may not be seen. Line 1 is whether there are locks at all, 2 and 3 are who made it."""
    kill(start(slow, tmp_path))
    (old,) = work_folders(tmp_path)
    lines = (old / "in-use").read_text().splitlines()
    assert lines[0] == "locked"
    lines[0] = "not locked" if line == 1 else "locked"
    lines[1:] = lines[1:] if line == 1 else ["another boot", "another machine"]
    (old / "in-use").write_text("\n".join(lines) + "\n")
    assert f"{old} looks like" in pare("compress", demo_model, "-o", tmp_path / "other").stderr.decode()
    assert (old / "new").is_dir()


def test_an_output_that_was_being_replaced_comes_back(pare, slow, demo_model, tmp_path):
    kill(start(slow, tmp_path))
    (old,) = work_folders(tmp_path)
    pare("quantize", demo_model, "-o", tmp_path / "out", "--scheme", "w8a16")
    kill(start([*slow, "--force"], tmp_path))
    (old,) = work_folders(tmp_path)
    (tmp_path / "out").rename(old / "old")  # as a run does just before it renames its own
    text = pare("compress", demo_model, "-o", tmp_path / "other").stderr.decode()
    assert f"put {tmp_path / 'out'} back" in text
    assert left(tmp_path) == ["other", "out"] and (tmp_path / "out" / "report.json").is_file()


def test_a_device_is_no_place_for_logits(pare, demo_model, tmp_path):
    ids = tmp_path / "ids.jsonl"
    ids.write_text('{"input_ids": [1, 5, 7]}\n')
    assert "no regular file" in pare("eval", demo_model, "--input-ids", ids, "--logits-to", "/dev/null", exit_code=3).stderr.decode()
    assert not os.path.isfile("/dev/null")
    pare("eval", demo_model, "--input-ids", ids, "--logits-to", tmp_path / "logits.npy")
    assert np.load(tmp_path / "logits.npy").shape[0] == 3
