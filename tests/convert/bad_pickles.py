# SPDX-License-Identifier: Apache-2.0
"""Pickles that want to run something: each would make the file CANARY if it were loaded."""
import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import zipfile
import zlib


class Call:
    """Unpickles to function(*args)."""

    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def by_hand(module, name, *args):
    """The same for a function that this Python does not have."""
    def text(s):
        return b"X" + struct.pack("<I", len(s.encode())) + s.encode()
    return (b"\x80\x04c" + module.encode() + b"\n" + name.encode() + b"\n(" + b"".join(text(a) for a in args) + b"tR.")


def all_of(canary):
    """{name: (bytes, what the refusal names)}"""
    touch = f"touch {canary}"
    code = f"open({str(canary)!r}, 'w')"
    system = pickle.dumps(Call(os.system, touch))
    nested = {"model": [1, 2, {"deep": (Call(os.system, touch), 3)}], "coef": [0.5] * 10}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as z:
        z.writestr("archive/data.pkl", system)
        z.writestr("archive/version", "3")
    computed = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940\x8c\x08builtins\x8c\x03str\x93h\x00\x85R\x8c\x06system\x93\x8c" + \
        bytes([len(touch)]) + touch.encode() + b"\x85R."
    return {
        "system.pkl": (system, "posix.system"),
        "system0.pkl": (pickle.dumps(Call(os.system, touch), protocol=0), "posix.system"),
        "system2.pkl": (pickle.dumps(Call(os.system, touch), protocol=2), "posix.system"),
        "system.joblib": (pickle.dumps(nested), "posix.system"),
        "nested.pkl": (pickle.dumps(Call(list, [Call(os.system, touch)])), "posix.system"),
        "eval.pkl": (pickle.dumps(Call(eval, code)), "builtins.eval"),
        "exec.pkl": (pickle.dumps(Call(exec, code)), "builtins.exec"),
        "import.pkl": (pickle.dumps(Call(__import__, "os")), "builtins.__import__"),
        "getattr.pkl": (by_hand("builtins", "getattr", "os", "system"), "builtins.getattr"),
        "inst.pkl": (b"(S'" + touch.encode() + b"'\nios\nsystem\n.", "os.system"),
        "subprocess.pkl": (by_hand("subprocess", "getoutput", touch), "subprocess.getoutput"),
        "runstring.joblib": (by_hand("numpy.testing._private.utils", "runstring", code), "numpy.testing._private.utils.runstring"),
        "dotted.pkl": (by_hand("sklearn.utils", "os.system", touch), "sklearn.utils.os.system"),
        "through.pkl": (by_hand("sklearn.utils", "os", touch), "sklearn.utils.os"),
        "memory.joblib": (by_hand("joblib.memory", "Memory", str(canary)), "joblib.memory.Memory"),
        "memmap.pkl": (by_hand("numpy", "memmap", str(canary), "float32", "w+"), "numpy.memmap"),
        "loads.pkl": (by_hand("_pickle", "loads", "x"), "_pickle.loads"),
        "pandas.pkl": (by_hand("pandas.core.computation.eval", "eval", code), "pandas.core.computation.eval.eval"),
        "own_class.pkl": (by_hand("__main__", "Model"), "__main__.Model"),
        "computed.pkl": (computed, "puts together"),
        "system.pkl.z.joblib": (zlib.compress(system), "posix.system"),
        "system.gz.joblib": (gzip.compress(system), "posix.system"),
        "system.bz2.joblib": (bz2.compress(system), "posix.system"),
        "system.xz.joblib": (lzma.compress(system), "posix.system"),
        "extension.pkl": (b"\x80\x02\x82\x01)R.", "extension registry"),
        "outside.pkl": (b"Pwhere\n.", "outside itself"),
        "torch.pt": (zipped.getvalue(), "posix.system"),
        "old_torch.pt": (system, "before 1.6"),
        # no programs, no models
        "cut.pkl": (pickle.dumps({"coef": [0.5] * 10})[:-9], "no whole pickle"),
        "noise.pkl": (bytes(range(256)) * 4, "no whole pickle"),
        "empty.pkl": (b"", "no whole pickle"),
        "cut.gz.joblib": (gzip.compress(bytes(range(256)) * 50)[:40], "no whole pickle"),
        "bad.xz.joblib": (lzma.compress(system)[:6] + b"x" * 50, "cannot be unpacked"),
        "behind.pkl": (pickle.dumps([1]) + system, "goes on behind its end"),
        "deep.pkl": (b"(" * 100000, "no whole pickle"),
    }
