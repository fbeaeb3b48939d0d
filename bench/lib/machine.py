# SPDX-License-Identifier: Apache-2.0
"""Where things are, which core does what, and what machine this is."""
import os
import platform
import re
import resource
import shutil
import socket
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
RESULTS = os.path.join(BUILD, "bench-results")
GALLEY = os.environ.get("GALLEY_BIN", os.path.join(BUILD, "galley"))
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, CLIENT_CORE = str(CORES[0]), str(CORES[-1])


class Skip(Exception):
    """Something that cannot be measured here; the text says why."""


class Failed(Exception):
    """A measurement that went wrong: requests that broke, a client that failed. Its figures would be none."""


def path(*parts):
    return os.path.join(ROOT, *parts)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def output(command, **more):
    return subprocess.run(command, capture_output=True, text=True, check=True, **more).stdout


def needs_program(name):
    if shutil.which(name) is None:
        raise Skip(f"{name} is not installed (tools/setup bench)")


def needs_option(option):
    """Skips what this binary cannot do yet."""
    if f"{option} " not in output([GALLEY, "help", "serve"]):
        raise Skip(f"this galley has no {option}")


def needs_command(name):
    if subprocess.run([GALLEY, "help", name], capture_output=True).returncode != 0:
        raise Skip(f"this galley has no command {name}")


def needs_cores(count):
    if len(CORES) < count:
        raise Skip(f"needs {count} cores: one for the server, one for the client")


def allow_files(count):
    """Connections are files, and the usual limit is 1,024; what is started here inherits it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def describe():
    """What the figures were taken on, in words."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        model = re.search(r"^model name\s*: (.*)$", f.read(), re.M)
    version = output([GALLEY, "version"]).splitlines()
    return {"processor": model.group(1).strip() if model else platform.machine(),
            "cores": len(CORES), "kernel": ".".join(platform.release().split(".")[:2]),
            "galley": version[0], "engine": next((v for v in version if v.startswith("ONNX")), "unknown"),
            "load": os.getloadavg()[0]}
