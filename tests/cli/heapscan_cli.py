"""Starts heapscan and the programs it looks at, makes what it prints comparable, and runs test suites."""

import argparse
import contextlib
import ctypes
import os
import re
import select
import subprocess
import tempfile
import time
import unittest

PATIENCE = 60

# What heapscan keeps of code that it has read is the test's own, and gone with it.
_CACHES = tempfile.TemporaryDirectory(prefix="heapscan-caches-")
os.environ["XDG_CACHE_HOME"] = _CACHES.name


class Result:
    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err


def run(heapscan, *words, env=None, stdout=subprocess.PIPE, timeout=PATIENCE, **more):
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TERM")}
    environment.update(env or {})
    done = subprocess.run([heapscan, *[str(word) for word in words]], stdin=subprocess.DEVNULL, stdout=stdout,
                          stderr=subprocess.PIPE, env=environment, timeout=timeout, check=False, **more)
    return Result(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())


class _Registers(ctypes.Structure):
    """struct user_regs_struct of x86-64."""

    _fields_ = [(name, ctypes.c_ulonglong) for name in (
        "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss fs_base gs_base "
        "ds es fs gs").split()]


def run_until_mapped(heapscan, *words, path, then):
    """Runs heapscan, calls `then` when it has just mapped the file at `path`, and lets it go on."""
    ptrace_traceme, ptrace_getregs, ptrace_detach, ptrace_syscall = 0, 12, 17, 24
    mmap = 9
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    with subprocess.Popen([heapscan, *[str(word) for word in words]], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          preexec_fn=lambda: libc.ptrace(ptrace_traceme, 0, None, None)) as process:
        registers = _Registers()
        while True:
            status = os.waitpid(process.pid, 0)[1]
            if not os.WIFSTOPPED(status):
                raise AssertionError(f"{path} was never mapped")
            libc.ptrace(ptrace_getregs, process.pid, None, ctypes.byref(registers))
            descriptor = f"/proc/{process.pid}/fd/{registers.r8}"
            began = registers.orig_rax == mmap and registers.rax != 2**64 - 38  # -ENOSYS where a call begins
            if began and os.path.exists(descriptor) and os.readlink(descriptor) == str(path):
                break
            libc.ptrace(ptrace_syscall, process.pid, None, None)
        then()
        libc.ptrace(ptrace_detach, process.pid, None, None)
        out, err = process.communicate(timeout=PATIENCE)
        return Result(process.returncode, out.decode(), err.decode())


class Fixture:
    """A fixture program that has said what is true of its heap and waits."""

    def __init__(self, program, *words):
        self.process = subprocess.Popen([program, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self.truth = self.read_truth()

    def read_truth(self):
        lines = []
        text = b""
        deadline = time.monotonic() + PATIENCE
        while not (lines and lines[-1].startswith("ready ")):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError("the fixture never said that it was ready")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError("the fixture ended before it was ready")
            *whole, text = (text + more).split(b"\n")
            lines += [line.decode() for line in whole]
        return [line.split() for line in lines]

    def labels(self):
        """Address and label of each block that the truth lists."""
        return [(words[1], words[3]) for words in self.truth if words[0] == "block"]

    def totals(self):
        """Blocks and bytes by verdict, from the summaries or else from the single lines."""
        totals = {}
        for words in self.truth:
            if words[0] == "block":
                count, size = totals.get(words[4], (0, 0))
                totals[words[4]] = (count + 1, size + int(words[2]))
        for words in self.truth:
            if words[0] == "summary":
                totals[words[1]] = (int(words[2]), int(words[3]))
        return totals

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextlib.contextmanager
def fixture(program, *words):
    waiting = Fixture(program, *words)
    try:
        yield waiting
    finally:
        waiting.end()


@contextlib.contextmanager
def healthy_process():
    """A program that loses nothing, seen to be past its start."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.stdin.write(b"ready\n")
            process.stdin.flush()
            if process.stdout.readline() != b"ready\n":
                raise AssertionError("cat did not answer")
            yield process
        finally:
            process.kill()


def why_ptrace_is_refused():
    """The reason why a child may not be traced here; None when it may."""
    ptrace_seize = 0x4206
    with subprocess.Popen(["sleep", "60"]) as target:
        tracer = os.fork()
        if tracer == 0:
            libc = ctypes.CDLL(None, use_errno=True)
            refused = libc.ptrace(ptrace_seize, target.pid, 0, 0) != 0
            os._exit(ctypes.get_errno() if refused else 0)  # which ends the tracing
        error = os.waitstatus_to_exitcode(os.waitpid(tracer, 0)[1])
        target.kill()
    return None if error == 0 else f"ptrace of a sibling is refused: {os.strerror(error)}"


@contextlib.contextmanager
def traced(pid):
    """A child of ours traces the process, for as long as the block runs."""
    ptrace_seize = 0x4206
    ready, started = os.pipe()
    over, end = os.pipe()
    tracer = os.fork()
    if tracer == 0:
        os.close(end)
        seized = ctypes.CDLL(None, use_errno=True).ptrace(ptrace_seize, pid, 0, 0) == 0
        os.write(started, b"y" if seized else b"n")
        os.read(over, 1)  # until the other end is closed
        os._exit(0)
    try:
        os.close(over)
        if os.read(ready, 1) != b"y":
            raise AssertionError("the process could not be traced")
        yield
    finally:
        for descriptor in (end, ready, started):
            os.close(descriptor)
        os.waitpid(tracer, 0)


def normalised(text):
    """The report without what differs between runs, hosts and C libraries."""
    rules = [
        (r"^heap {8}.*$", "heap        HEAP"),
        (r"^memory {6}.*\n( {12}the other.*\n)*", "memory      MEMORY\n"),
        (r"^free {8}.*\n(  (arena|\d+ more arena|with fewer).*\n| {12}.*\n)*", ""),
        (r"^held {8}.*\n(  .*\n)*", "held        HELD\n"),
        (r"\bpid \d+", "pid PID"),
        (r"heapscan attach \d+", "heapscan attach PID"),
        (r"stopped for [\d.]+ m?s", "stopped for TIME"),
        (r"^(      at 0x[0-9a-f]+:).*$", r"\1 BYTES"),
        (r"^(  \+0x[0-9a-f]+ +)[0-9a-f]{16}( [0-9a-f]{1,16})?", r"\1BYTES"),
        (r"0x[0-9a-f]{6,}", "ADDRESS"),
        (r"thread \d+", "thread TID"),
        (r"^notes {7}(.*\n)(  .*\n)*", ""),
    ]
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text


def run_suites(options, usage, module, names, **more):
    """Parses the command line into `options` and runs the suites of `module` that it names, or else those called
    `names`. `more`: further words of it, each with what argparse is to know. The exit code: 77 when something
    was skipped and nothing failed."""
    parser = argparse.ArgumentParser(usage=usage)
    parser.add_argument("--heapscan", required=True)
    parser.add_argument("--fixtures", required=True)
    for name, how in more.items():
        parser.add_argument("--" + name.replace("_", "-"), **how)
    parser.add_argument("suites", nargs="*")
    parser.parse_args(namespace=options)
    suite = unittest.defaultTestLoader.loadTestsFromNames(options.suites or names, module)
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    if not result.wasSuccessful():
        return 1
    return 77 if result.skipped else 0
