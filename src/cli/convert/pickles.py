# SPDX-License-Identifier: Apache-2.0
"""Pickles: looked through before anything is loaded, and loaded with nothing but what was allowed.

A pickle is a program that may name any function and call it. look_through() follows its opcodes without running one and
returns every global that it names; one that no model file needs is refused by its name. Loading goes through an unpickler
that holds each global against the same list once more, when it is asked for: what a scan cannot see (arrays and pickles
within a joblib file that lie about their length) meets it there.
"""
import bz2
import gzip
import io
import lzma
import pickle
import pickletools
import re
import zipfile
import zlib

from common import Refused

# Modules whose classes are models, arrays and tables; a class is told by its capital letter.
CLASSES = ("sklearn", "scipy.sparse", "scipy.interpolate", "scipy.stats", "pandas.core", "pandas._libs", "xgboost.core",
           "xgboost.sklearn", "lightgbm.basic", "lightgbm.sklearn", "numpy.random", "numpy.dtypes")
# Not even classes: they read, fetch, run or compile.
NEVER = re.compile(r"^(sklearn\.(datasets|externals|utils\._testing|utils\._joblib|utils\.parallel|conftest|tests)"
                   r"|pandas\.core\.(computation|io)|numpy\.testing|scipy\.stats\._rvs)(\.|$)")
# What Cython's classes and scikit-learn's trees are put together with.
BUILDERS = re.compile(r"^(__pyx_unpickle_\w+|newObj|_unpickle_block|_new_Index|_new_DatetimeIndex|new_block)$")
SAFE = {
    "builtins": {"set", "frozenset", "slice", "range", "complex", "bytearray", "object", "list", "dict", "tuple", "int",
                 "float", "bool", "str", "bytes"},
    "collections": {"OrderedDict", "defaultdict", "Counter", "deque"},
    "copyreg": {"_reconstructor"},
    "_codecs": {"encode"},
    "datetime": {"date", "datetime", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "joblib.numpy_pickle": {"NumpyArrayWrapper"},
    "numpy": {"dtype", "ndarray", "bool_", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
              "float16", "float32", "float64", "str_", "bytes_", "object_", "datetime64", "timedelta64",
              "log", "log1p", "log2", "log10", "exp", "expm1", "sqrt", "square", "abs", "absolute", "sign", "reciprocal"},
}
SAFE["__builtin__"] = SAFE["builtins"] | {"unicode", "long"}
SAFE["copy_reg"] = SAFE["copyreg"]
for module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    SAFE[module] = {"_reconstruct", "scalar"}
for module in ("numpy.core.numeric", "numpy._core.numeric"):
    SAFE[module] = {"_frombuffer"}
for module in ("numpy.core._multiarray_umath", "numpy._core._multiarray_umath"):
    SAFE[module] = SAFE["numpy"] - {"dtype", "ndarray"}
SAFE["numpy.random._pickle"] = {"__randomstate_ctor", "__generator_ctor", "__bit_generator_ctor"}

# A tensor file's data.pkl names these and no others: the same list as torch.load(weights_only=True) goes by, and shorter.
TENSORS = {
    "collections": {"OrderedDict"},
    "torch._utils": {"_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_tensor"},
    "torch": {f"{t}Storage" for t in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")}
             | {"device", "Size", "float32", "float64", "int64", "int32", "Tensor"},
    "torch.storage": {"UntypedStorage", "TypedStorage"},
    "torch.nn.parameter": {"Parameter"},
}


def is_safe(module, name, tensors=False):
    if tensors:
        return name in TENSORS.get(module, ())
    if name in SAFE.get(module, ()):
        return True
    if "." in name or NEVER.match(module):
        return False
    for root in CLASSES:
        if module == root or module.startswith(root + "."):
            return bool(re.match(r"_{0,2}[A-Z]\w*$", name) or BUILDERS.match(name)
                        or (root == "scipy.sparse" and re.match(r"\w+_(matrix|array)$", name)))
    return False


def refuse(where, module, name, why="", tensors=False):
    if tensors:
        raise Refused(f"{where} names {module}.{name}, which is code and no tensor: it was not loaded",
                      "A file of torch.save(model) is a program. Save model.state_dict() and say --class FILE.py:CLASS, or save "
                      "TorchScript (torch.jit.script(model).save(FILE)).")
    raise Refused(f"{where} names {module}.{name}, which no model needs: it was not loaded{why}",
                  "Take models from people you trust only. A class of your own cannot be converted: build the pipeline of "
                  "the frameworks' own parts.")


# --- looking through ---------------------------------------------------------------------------------------------------
class Opaque:
    """A value of which nothing is known but, perhaps, which global made it."""

    def __init__(self, made_by=None, args=()):
        self.made_by, self.args, self.state = made_by, args, None


class Global:
    def __init__(self, module, name):
        self.module, self.name = module, name


MARK = object()
TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE", "STRING", "BINSTRING", "SHORT_BINSTRING"}
NUMBER = {"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4"}


class Scan:
    """Follows one stream of opcodes with a stack of stand-ins. Nothing is imported, nothing is called."""

    def __init__(self, stream, where, tensors):
        self.stream, self.where, self.tensors = stream, where, tensors
        self.stack, self.memo, self.globals = [], {}, []

    def run(self):
        try:
            for op, arg, _ in pickletools.genops(self.stream):
                self.step(op.name, arg)
        except Refused:
            raise
        except (ValueError, IndexError, KeyError, TypeError, EOFError, AttributeError, UnicodeError, OverflowError,
                RecursionError) as e:
            raise Refused(f"{self.where} is no whole pickle: {' '.join(str(e).split())[:120]}") from e
        return self.globals

    def found(self, module, name):
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused(f"{self.where} names a global that it puts together as it runs: it was not loaded",
                          "Take models from people you trust only.")
        if not is_safe(module, name, self.tensors):
            refuse(self.where, module, name, tensors=self.tensors)
        self.globals.append(f"{module}.{name}")
        self.stack.append(Global(module, name))

    def pop_mark(self):
        items = []
        while self.stack[-1] is not MARK:
            items.append(self.stack.pop())
        self.stack.pop()
        return items[::-1]

    def pop(self):
        top = self.stack.pop()
        if top is MARK:
            raise ValueError("a mark where a value must stand")
        return top

    def build(self):
        state = self.pop()
        top = self.stack[-1]
        if isinstance(top, Opaque):
            top.state = state
            maker = top.made_by
            if isinstance(maker, Global) and maker.name == "NumpyArrayWrapper":
                self.skip_array(state)

    def skip_array(self, state):
        """joblib puts an array's bytes right behind the wrapper that describes it."""
        facts = state if isinstance(state, dict) else {}
        dtype, shape = facts.get("dtype"), facts.get("shape")
        spec = dtype.args[0] if isinstance(dtype, Opaque) and dtype.args else None
        if isinstance(dtype, Global):
            spec = {"bool": "b1", "bool_": "b1"}.get(dtype.name, dtype.name)
        if spec == "O8":
            Scan(self.stream, self.where, False).run_into(self)
            return
        kinds = {"int": "i", "uint": "u", "float": "f"}
        named = re.match(r"^(int|uint|float)(\d+)$", spec) if isinstance(spec, str) else None
        if named:
            spec = f"{kinds[named[1]]}{int(named[2]) // 8}"
        m = re.match(r"^[<>|=]?([biufcSUVmM])(\d+)(\[.*\])?$", spec) if isinstance(spec, str) else None
        if not m or not isinstance(shape, tuple) or not all(isinstance(n, int) and 0 <= n < 1 << 48 for n in shape):
            raise Refused(f"{self.where}: an array in it has a type that cannot be told without loading it")
        size = int(m[2]) * (4 if m[1] == "U" else 1)
        for n in shape:
            size *= n
        if facts.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            size += padding[0] if padding else 0
        left = self.stream.skip(size)
        if left:
            raise Refused(f"{self.where} ends early: {left} bytes of an array are missing")

    def run_into(self, outer):
        outer.globals += self.run()

    def step(self, name, arg):
        stack = self.stack
        if name in TEXT or name in NUMBER:
            stack.append(arg)
        elif name in ("GLOBAL", "INST"):
            if name == "INST":
                args = self.pop_mark()
            module, _, what = arg.partition(" ")
            self.found(module, what)
            if name == "INST":
                stack.append(Opaque(stack.pop(), args))
        elif name == "STACK_GLOBAL":
            what, module = self.pop(), self.pop()
            self.found(module, what)
        elif name in ("EXT1", "EXT2", "EXT4"):
            raise Refused(f"{self.where} calls on the interpreter's extension registry: it was not loaded")
        elif name in ("PERSID", "BINPERSID"):
            if not self.tensors:
                raise Refused(f"{self.where} refers to objects outside itself: it was not loaded")
            if name == "BINPERSID":
                self.pop()
            stack.append(Opaque())
        elif name in ("NEXT_BUFFER", "READONLY_BUFFER"):
            raise Refused(f"{self.where} wants buffers from outside: it was not loaded")
        else:
            self.shape(name, arg)

    def shape(self, name, arg):
        """Opcodes that only move values about."""
        stack = self.stack
        if name == "MARK":
            stack.append(MARK)
        elif name in ("MEMOIZE",):
            self.memo[len(self.memo)] = stack[-1]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(arg)] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(self.memo[int(arg)])
        elif name == "POP":
            stack.pop()
        elif name == "POP_MARK":
            self.pop_mark()
        elif name == "DUP":
            stack.append(stack[-1])
        elif name in ("EMPTY_DICT",):
            stack.append({})
        elif name in ("EMPTY_TUPLE",):
            stack.append(())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            n = int(name[-1])
            items = tuple(self.pop() for _ in range(n))[::-1]
            stack.append(items)
        elif name == "TUPLE":
            stack.append(tuple(self.pop_mark()))
        elif name == "DICT":
            items = self.pop_mark()
            stack.append({k: v for k, v in zip(items[::2], items[1::2]) if isinstance(k, str)})
        elif name == "SETITEM":
            value, key = self.pop(), self.pop()
            if isinstance(stack[-1], dict) and isinstance(key, str):
                stack[-1][key] = value
        elif name == "SETITEMS":
            items = self.pop_mark()
            if isinstance(stack[-1], dict):
                stack[-1].update({k: v for k, v in zip(items[::2], items[1::2]) if isinstance(k, str)})
        elif name in ("REDUCE", "NEWOBJ"):
            args, made_by = self.pop(), self.pop()
            stack.append(Opaque(made_by, args if isinstance(args, tuple) else ()))
        elif name == "NEWOBJ_EX":
            self.pop(), self.pop()
            stack.append(Opaque(self.pop()))
        elif name == "OBJ":
            items = self.pop_mark()
            stack.append(Opaque(items[0], items[1:]))
        elif name == "BUILD":
            self.build()
        elif name in ("APPEND",):
            self.pop()
        elif name in ("APPENDS", "ADDITEMS"):
            self.pop_mark()
        elif name in ("LIST", "FROZENSET"):
            self.pop_mark()
            stack.append(Opaque())
        elif name in ("PROTO", "FRAME", "STOP"):
            pass
        else:  # a constant
            stack.append(None if name == "NONE" else Opaque())


class Stream(io.RawIOBase):
    """Reads on without holding the whole; skips without reading where it can."""

    def __init__(self, f):
        super().__init__()
        self.f = f

    def read(self, n=-1):
        """A length that lies takes no more memory than the file has bytes."""
        if n < 1 << 20:
            return self.f.read(n)
        pieces = []
        while n > 0:
            piece = self.f.read(min(n, 1 << 20))
            if not piece:
                break
            pieces.append(piece)
            n -= len(piece)
        return b"".join(pieces)

    def readline(self, size=-1):
        return self.f.readline(size)

    def tell(self):
        return self.f.tell()

    def skip(self, n):
        while n:
            piece = self.f.read(min(n, 1 << 20))
            if not piece:
                return n
            n -= len(piece)
        return 0


def opened(path):
    """The file, unpacked where joblib has compressed it."""
    with open(path, "rb") as f:
        head = f.read(8)
    if head.startswith(b"\x1f\x8b"):
        return gzip.open(path, "rb")
    if head.startswith(b"BZh"):
        return bz2.open(path, "rb")
    if head.startswith((b"\xfd7zXZ", b"\x5d\x00")):
        return lzma.open(path, "rb")
    if head[:1] == b"\x78" and head[1:2] in (b"\x01", b"\x5e", b"\x9c", b"\xda"):
        with open(path, "rb") as f:
            d = zlib.decompressobj()
            data = d.decompress(f.read(), 4 << 30)
        return io.BytesIO(data)
    if head.startswith(b"\x04\x22\x4d\x18"):
        raise Refused(f"{path}: compressed with lz4, which cannot be looked through", "Save it anew: joblib.dump(model, FILE, compress=3)")
    return open(path, "rb")


def look_through(path, where):
    """Every global that the file names. Refused when one is not allowed, or when it is no pickle."""
    try:
        with opened(path) as f:
            found = Scan(Stream(f), where, False).run()
            if f.read(1):
                raise Refused(f"{where} goes on behind its end: it was not loaded", "Take models from people you trust only.")
            return found
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as e:
        raise Refused(f"{where} cannot be unpacked: {' '.join(str(e).split())[:120]}") from e


def look_through_tensors(path, where):
    """The same of a PyTorch file: a zip with data.pkl (and constants.pkl), or a pickle of old. Returns the names of the
    archive's members."""
    if not zipfile.is_zipfile(path):
        raise Refused(f"{where} is a file as PyTorch wrote it before 1.6, or none at all",
                      "Save it anew: torch.save(model.state_dict(), FILE)")
    with zipfile.ZipFile(path) as z:
        names = z.namelist()
        # A TorchScript archive's pickles name the classes in its own code/; PyTorch reads them without Python.
        if any("/code/" in n for n in names):
            return names
        for name in names:
            if name.endswith(".pkl"):
                Scan(Stream(io.BytesIO(z.read(name))), f"{where}:{name}", True).run()
    return names


# --- loading -----------------------------------------------------------------------------------------------------------
def find(where, module, name, super_find):
    if not is_safe(module, name):
        refuse(where, module, name)
    found = super_find(module, name)
    if isinstance(found, type):
        home = getattr(found, "__module__", "") or ""
        root = module.split(".")[0]
        if module not in SAFE and home.split(".")[0] != root:
            refuse(where, home, found.__name__, f" (as {module}.{name})")
    return found


def load(path, where):
    """Unpickles a file that was looked through."""
    try:
        import joblib.numpy_pickle as np_pickle
    except ModuleNotFoundError:
        np_pickle = None

    class Plain(pickle.Unpickler):
        def find_class(self, module, name):
            return find(where, module, name, super().find_class)

    with opened(path) as f:
        if np_pickle is None:
            return Plain(f).load()
        return load_joblib(np_pickle, path, f, where)


def load_joblib(np_pickle, path, f, where):
    class Careful(np_pickle.NumpyUnpickler):
        def find_class(self, module, name):
            return find(where, module, name, super().find_class)

    import inspect
    extra = {}
    names = inspect.signature(np_pickle.NumpyUnpickler.__init__).parameters
    if "ensure_native_byte_order" in names:
        extra["ensure_native_byte_order"] = True
    # Objects within an array are a pickle of their own, which joblib loads by pickle.load: that door is shut likewise.
    inner = np_pickle.pickle.load

    def load_inner(stream, **options):
        class Inner(pickle.Unpickler):
            def find_class(self, module, name):
                return find(where, module, name, super().find_class)
        return Inner(stream, **options).load()

    np_pickle.pickle.load = load_inner
    try:
        return Careful(path, f, **extra).load()
    finally:
        np_pickle.pickle.load = inner
