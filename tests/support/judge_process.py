"""A judge in a process of its own: these libraries patch each other when they are imported, and must not meet."""
import concurrent.futures
import multiprocessing
import os
import tempfile

SECONDS = 300  # for one question; the first one also imports the library


def _begin(variables):
    """Some write logs into the current folder."""
    os.environ.update(variables)
    os.chdir(tempfile.mkdtemp(prefix="pare-judge-"))


class JudgeProcess:
    """judge.ask(function, ...) runs a function of a module that only the judge's process imports.

    The function is named "module.function" below tests/support, so that this process never imports the library.
    """

    def __init__(self, **environment):
        offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "TQDM_DISABLE": "1"}
        self._pool = concurrent.futures.ProcessPoolExecutor(
            1, multiprocessing.get_context("spawn"), _begin, (offline | environment,))

    def ask(self, function, *arguments, **options):
        return self._pool.submit(_call, function, arguments, options).result(SECONDS)

    def close(self):
        self._pool.shutdown(cancel_futures=True)


def _call(function, arguments, options):
    import importlib

    module, name = function.rsplit(".", 1)
    return getattr(importlib.import_module(f"support.{module}"), name)(*arguments, **options)
