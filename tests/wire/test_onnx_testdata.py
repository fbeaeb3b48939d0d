# SPDX-License-Identifier: Apache-2.0
"""The ONNX project's backend test data through POST /v2/models/NAME/infer with binary tensors.

A case passes when every data set's outputs are within ONNX's own tolerances, or those of
tests/backend/onnx_tolerances.txt. A case that is listed in onnx_http_not_supported.txt (the protocol
cannot carry it) or in tests/backend/onnx_not_supported.txt (ONNX Runtime cannot run it) must fail.
"""
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import harness
import models
import oip

BACKEND = harness.SOURCE / "tests" / "backend"
DATA = Path("/usr/share/libonnx-testdata/data")
GROUPS = ("node", "simple", "pytorch-converted", "pytorch-operator")
LISTS = (BACKEND / "onnx_not_supported.txt",
         Path(__file__).with_name("onnx_http_not_supported.txt"))
BATCH = 250
RTOL, ATOL = 1e-3, 1e-7
LOCALE = Path("/usr/lib/locale/C.utf8")
NAMES = {v: k for k, v in models.DTYPES.items()}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no {DATA}: tools/setup test installs it")


class Failed(Exception):
    pass


def read_list(path):
    lines = [line.split(None, 1) for line in path.read_text().splitlines()
             if line.strip() and not line.startswith("#")]
    assert all(len(line) == 2 for line in lines), f"{path}: each case needs a reason"
    names = [line[0] for line in lines]
    assert len(set(names)) == len(names), f"{path}: a case stands there twice"
    return dict(lines)


def cases():
    return [f"{group}/{path.name}" for group in GROUPS for path in sorted((DATA / group).iterdir())
            if (path / "model.onnx").is_file()]


# --- files ---

def parse(path, kind):
    message = {"tensor_type": onnx.TensorProto, "sequence_type": onnx.SequenceProto,
               "optional_type": onnx.OptionalProto, "map_type": onnx.MapProto}[kind]()
    message.ParseFromString(path.read_bytes())
    if kind == "tensor_type":
        if message.data_type not in NAMES:
            name = onnx.TensorProto.DataType.Name(message.data_type)
            raise Failed(f"the protocol has no datatype for {name}")
        return numpy_helper.to_array(message)
    if kind == "sequence_type":
        return [numpy_helper.to_array(t) for t in message.tensor_values]
    if kind == "optional_type":
        return numpy_helper.to_optional(message)
    raise Failed(f"a {kind} has no form here")


def ports(graph):
    given = {i.name for i in graph.initializer}
    inputs = [i for i in graph.input if i.name not in given]
    return inputs, list(graph.output)


def values(directory, prefix, port_list):
    """Values by name; a file more or less than ports is the case's own business."""
    found = {}
    for i, port in enumerate(port_list):
        path = directory / f"{prefix}_{i}.pb"
        if path.exists():
            value = parse(path, port.type.WhichOneof("value"))
            if port.type.tensor_type.elem_type == onnx.TensorProto.BFLOAT16 \
                    and value.dtype == np.uint16:  # how data sets of that age hold bfloat16
                value = value.view(oip.NUMPY["BF16"])
            found[port.name] = value
    return found


# --- comparison ---

def same(name, got, want, atol):
    if want.dtype == object:
        if [x.decode() if isinstance(x, bytes) else x for x in got.ravel()] != \
                [x.decode() if isinstance(x, bytes) else x for x in want.ravel()] \
                or got.shape != want.shape:
            raise Failed(f"output {name}: other texts")
        return
    if got.shape != want.shape or got.dtype != want.dtype:
        raise Failed(f"output {name}: {got.dtype}{got.shape}, not {want.dtype}{want.shape}")
    if got.dtype.name == "bfloat16":
        got, want = got.astype(np.float32), want.astype(np.float32)
    if not np.allclose(got, want, rtol=RTOL, atol=atol, equal_nan=got.dtype.kind == "f"):
        raise Failed(f"output {name}: other values")


def compare(name, got, want, atol):
    if isinstance(want, list):
        for i, item in enumerate(want):
            if f"{name}.{i}" not in got:
                raise Failed(f"output {name}: item {i} of the sequence is missing")
            same(f"{name}.{i}", got[f"{name}.{i}"], item, atol)
    elif want is None:
        if name in got:
            raise Failed(f"output {name}: must be absent")
    elif name not in got:
        raise Failed(f"output {name} is missing")
    else:
        same(name, got[name], want, atol)


def run(server, case, atol):
    directory = DATA / case
    model = onnx.load(directory / "model.onnx", load_external_data=False)
    inputs, outputs = ports(model.graph)
    sets = sorted(directory.glob("test_data_set_*"))
    if not sets:
        raise Failed("the case has no data")
    for data in sets:
        given = values(data, "input", inputs)
        given = {k: v for k, v in given.items() if v is not None}  # absent: left out
        for name, value in given.items():
            if not isinstance(value, np.ndarray):
                raise Failed(f"the protocol cannot carry input {name}, a sequence")
        want = values(data, "output", outputs)
        reply = oip.post_binary(server, case.replace("/", "."), given, timeout=60)
        if reply.status != 200:
            raise Failed(f"{reply.status} {reply.json()['error'][:300]}")
        got = oip.tensors(reply)
        for name, value in want.items():
            compare(name, got, value, atol)


def outcome(server, case, atol):
    """None when it passed, else the reason."""
    try:
        run(server, case, atol)
    except Failed as e:
        return str(e)
    return None


def test_every_case_that_can_be_carried_passes(tmp_path, capsys):
    listed = {k: v for path in LISTS for k, v in read_list(path).items()}
    both = set(read_list(LISTS[0])) & set(read_list(LISTS[1]))
    assert not both, f"listed twice: {both}"
    tolerances = read_list(BACKEND / "onnx_tolerances.txt")
    env = {}
    if LOCALE.is_dir():  # StringNormalizer wants en_US.UTF-8, which small systems do not have
        (tmp_path / "locale").mkdir()
        (tmp_path / "locale" / "en_US.UTF-8").symlink_to(LOCALE)
        env["LOCPATH"] = tmp_path / "locale"
    everything = cases()
    results = {}
    for start in range(0, len(everything), BATCH):
        repository = tmp_path / str(start)
        for case in everything[start:start + BATCH]:
            (repository / case.replace("/", ".")).mkdir(parents=True)
            for file in (f for f in (DATA / case).iterdir() if f.is_file()):
                (repository / case.replace("/", ".") / file.name).symlink_to(file)
        with harness.Server("--warmup", "0", "--access-log", "off", paths=[repository],
                            wait="startup", env=env) as s:
            for case in everything[start:start + BATCH]:
                atol = float(tolerances.get(case, str(ATOL)).split()[0])
                results[case] = outcome(s, case, atol)
    failed = [f"{c}: {r}" for c, r in results.items() if r and c not in listed]
    failed += [f"{c}: passes, but is listed: {listed[c]}" for c, r in results.items()
               if not r and c in listed]
    failed += [f"{c}: is listed, but there is no such case" for c in listed if c not in results]
    with capsys.disabled():
        print(f"\n{'group':<20} {'passed':>8} {'failed':>8} {'not supported':>14}")
        for group in GROUPS + ("",):
            of = {c: r for c, r in results.items() if c.startswith(group)}
            bad = [f for f in failed if f.startswith(group)]
            passed = sum(1 for c, r in of.items() if not r and c not in listed)
            print(f"{group or 'all':<20} {passed:>8} {len(bad):>8} "
                  f"{sum(1 for c in of if c in listed):>14}")
    assert not failed, "\n" + "\n".join(failed)
    assert sum(1 for r in results.values() if not r) > 800
