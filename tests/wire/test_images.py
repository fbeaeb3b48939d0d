# SPDX-License-Identifier: Apache-2.0
"""Encoded images as a model's input: what the model gets equals what Pillow and NumPy make of the
same file, on every path; damaged files and decompression bombs are refused."""
import io
import json
import struct
import zlib

import numpy as np
import pytest
import requests
from onnx import TensorProto as T
from onnx import helper as h
from PIL import Image, ImageOps

import harness
import models
import oip

RNG = np.random.default_rng(11)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def echo(path, shape, t=T.FLOAT):
    """y = x: what the model got."""
    return models.write(path, [h.make_node("Identity", ["x"], ["y"])], [("x", t, shape)],
                        [("y", t, shape)])


# name: (shape, datatype, image block)
MODELS = {
    "own": (("n", 3, "h", "w"), T.FLOAT, {}),
    "bytes": (("n", "h", "w", 3), T.UINT8, {"layout": "NHWC"}),
    "gray": ((1, 1, "h", "w"), T.UINT8, {"color": "gray"}),
    "bgr": ((3, "h", "w"), T.UINT8, {"color": "bgr", "orientation": "ignore"}),
    "net": (("n", 3, 40, 56), T.FLOAT, {"mean": MEAN, "std": STD}),
    "half": (("n", 3, 16, 16), T.FLOAT16, {}),
    "stretch": (("n", "h", "w", 3), T.UINT8, {"layout": "NHWC", "width": 31, "height": 47}),
    "fit": (("n", 24, 40, 3), T.UINT8, {"layout": "NHWC", "resize": "fit", "pad": 114}),
    "crop": (("n", 24, 40, 3), T.UINT8, {"layout": "NHWC", "resize": "crop"}),
    "resnet": (("n", 22, 22, 3), T.UINT8, {"layout": "NHWC", "resize": "crop", "short_side": 26}),
    "exact": (("n", 8, 8, 3), T.UINT8, {"layout": "NHWC", "resize": "exact"}),
    "raw": (("n", 1, 8, 8), T.FLOAT, {"color": "gray", "scale": 1, "max_pixels": 4096}),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    entries = []
    for name, (shape, t, image) in MODELS.items():
        echo(root / name / "model.onnx", shape, t)
        entries.append({"path": str(root / name), "image": image})
    echo(root / "none" / "model.onnx", ("n", 3, 8, 8))
    entries.append(str(root / "none"))
    config = root / "galley.yaml"
    config.write_text(json.dumps({"models": entries}))  # JSON is YAML
    with harness.Server("--config", config) as s:
        yield s


def png(array, **options):
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG", **options)
    return out.getvalue()


def photo(width, height):
    """Smooth shapes with some noise."""
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([np.sin(x / 9) * 90 + 128, np.cos(y / 7) * 90 + 128, (x * y) % 251], -1)
    return np.clip(a + RNG.normal(0, 12, a.shape), 0, 255).astype(np.uint8)


def infer(server, model, body, kind="image/png"):
    reply = requests.post(f"http://127.0.0.1:{server.port}/v2/models/{model}/infer", data=body,
                          headers={"Content-Type": kind}, timeout=60)
    return reply


def got(server, model, body, kind="image/png"):
    reply = infer(server, model, body, kind)
    assert reply.status_code == 200, reply.text
    out = reply.json()["outputs"][0]
    return np.array(out["data"], oip.NUMPY[out["datatype"]]).reshape(out["shape"])


def rgb(data):
    return Image.open(io.BytesIO(data)).convert("RGB")


def bilinear(image, size):
    """Pillow's, rows first. In one call Pillow 13 does the columns first where that is cheaper, which
    rounds otherwise: within 1."""
    two = image.resize((size[0], image.height), Image.Resampling.BILINEAR).resize(
        size, Image.Resampling.BILINEAR)
    one = image.resize(size, Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(one).astype(int) - np.asarray(two)).max() <= 1
    return two


# --- files as they are ---

def kinds():
    a = photo(13, 9)
    pil = Image.fromarray(a)
    out = {"rgb": png(a), "gray": png(a[..., 0]),
           "alpha": png(np.dstack([a, a[..., :1]])),
           "gray-alpha": png(np.ascontiguousarray(a[..., :2]))}
    for name, image, options in (
            ("palette", pil.quantize(17), {}), ("bits", pil.convert("1"), {}),
            ("palette-4", pil.quantize(5), {"bits": 4}),
            ("palette-clear", pil.quantize(9), {"transparency": 3})):
        file = io.BytesIO()
        image.save(file, "PNG", **options)
        out[name] = file.getvalue()
    return out


@pytest.mark.parametrize("name", kinds())
def test_every_kind_of_png_is_what_pillow_reads(server, name):
    data = kinds()[name]
    assert np.array_equal(got(server, "bytes", data)[0], np.asarray(rgb(data)))


def sixteen(colour, rows, width, height):
    """A PNG of 16 bits a sample, which Pillow does not write."""
    def chunk(kind, body):
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
    raw = b"".join(b"\0" + r.astype(">u2").tobytes() for r in rows)
    return (b"\x89PNG\r\n\x1a\n" +
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


@pytest.mark.parametrize("colour, channels", [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_of_sixteen_bits_the_upper_eight_count(server, colour, channels):
    rows = RNG.integers(0, 65536, (5, 7 * channels))
    want = (rows.reshape(5, 7, channels) >> 8).astype(np.uint8)
    want = want[..., :3] if channels > 2 else np.repeat(want[..., :1], 3, -1)
    assert np.array_equal(got(server, "bytes", sixteen(colour, rows, 7, 5))[0], want)


def jpeg(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


@pytest.mark.parametrize("mode, options", [
    ("RGB", {}), ("RGB", {"subsampling": 0}), ("RGB", {"subsampling": 1}), ("RGB", {"progressive": True}),
    ("L", {}), ("CMYK", {}), ("RGB", {"restart_marker_rows": 1})])
def test_every_kind_of_jpeg_is_what_pillow_reads(server, mode, options):
    """Within 2 of 255: Pillow brings a libjpeg-turbo of its own, whose rounding may differ."""
    data = jpeg(Image.fromarray(photo(37, 29)).convert(mode), **options)
    diff = np.abs(got(server, "bytes", data, "image/jpeg")[0].astype(int) - np.asarray(rgb(data)))
    assert diff.max() <= 2


def test_colours_orders_and_layouts(server):
    data = png(photo(12, 10))
    want = np.asarray(rgb(data))
    assert np.array_equal(got(server, "own", data)[0],
                          (want.transpose(2, 0, 1) / 255).astype(np.float32))
    assert np.array_equal(got(server, "bgr", data), want[..., ::-1].transpose(2, 0, 1))
    assert np.array_equal(got(server, "gray", data)[0, 0], np.asarray(rgb(data).convert("L")))
    assert np.array_equal(got(server, "gray", png(want[..., 0]))[0, 0], want[..., 0])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_an_image_stands_upright_unless_told_otherwise(server, orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    out = io.BytesIO()
    Image.fromarray(photo(16, 8)).save(out, form, exif=exif, quality=95, subsampling=0)
    image = Image.open(io.BytesIO(out.getvalue()))
    want = np.asarray(ImageOps.exif_transpose(image)).astype(int)
    have = got(server, "bytes", out.getvalue(), "image/jpeg")[0]
    assert have.shape == want.shape and np.abs(have - want).max() <= 2
    stored = got(server, "bgr", out.getvalue())[::-1].transpose(1, 2, 0)
    assert stored.shape == np.asarray(image).shape
    assert np.abs(stored.astype(int) - np.asarray(image)).max() <= 2


# --- sizes ---

@pytest.mark.parametrize("size", [(31, 47), (31, 20), (64, 47), (1, 1), (300, 200), (17, 33), (999, 3)])
def test_resizing_is_pillows_bilinear_to_the_bit(server, size):
    data = png(photo(*size))
    want = np.asarray(bilinear(rgb(data), (31, 47)))
    assert np.array_equal(got(server, "stretch", data)[0], want)


def test_numbers_are_scaled_and_normalized(server):
    data = png(photo(100, 80))
    small = np.asarray(bilinear(rgb(data), (56, 40))) / 255
    want = ((small - MEAN) / STD).transpose(2, 0, 1)
    assert np.array_equal(got(server, "net", data)[0], want.astype(np.float32))
    small = png(np.asarray(rgb(data))[:40, :90])
    gray = bilinear(rgb(small).convert("L"), (8, 8))
    assert np.array_equal(got(server, "raw", small)[0, 0], np.asarray(gray).astype(np.float32))
    reply = requests.post(f"http://127.0.0.1:{server.port}/v2/models/half/infer", data=data,
                          headers={"Content-Type": "image/png"}, timeout=60)
    assert reply.status_code == 200, reply.text
    half = np.array(reply.json()["outputs"][0]["data"]).reshape(3, 16, 16)
    want = (np.asarray(bilinear(rgb(data), (16, 16))) / 255)
    assert np.array_equal(half.astype(np.float16), want.transpose(2, 0, 1).astype(np.float16))


@pytest.mark.parametrize("size", [(80, 48), (40, 80), (400, 10), (10, 400), (5, 3), (41, 24)])
def test_fit_keeps_the_whole_image(server, size):
    data = png(photo(*size))
    by = min(40 / size[0], 24 / size[1])
    w, hgt = (min(m, max(1, int(s * by + 0.5))) for s, m in zip(size, (40, 24), strict=True))
    want = np.full((24, 40, 3), 114, np.uint8)
    left, top = (40 - w) // 2, (24 - hgt) // 2
    want[top:top + hgt, left:left + w] = np.asarray(
        bilinear(rgb(data), (w, hgt)))
    assert np.array_equal(got(server, "fit", data)[0], want)


@pytest.mark.parametrize("size", [(80, 48), (40, 80), (100, 30), (5, 3), (41, 24)])
def test_crop_takes_the_middle(server, size):
    data = png(photo(*size))
    by = max(40 / size[0], 24 / size[1])
    w, hgt = (max(m, int(s * by + 0.5)) for s, m in zip(size, (40, 24), strict=True))
    whole = np.asarray(bilinear(rgb(data), (w, hgt)))
    left, top = (w - 40) // 2, (hgt - 24) // 2
    assert np.array_equal(got(server, "crop", data)[0], whole[top:top + 24, left:left + 40])


@pytest.mark.parametrize("size", [(80, 48), (47, 81), (26, 26)])
def test_the_short_side_is_resized_before_the_middle_is_cut(server, size):
    """torchvision's Resize(26), CenterCrop(22)."""
    data = png(photo(*size))
    short, long = min(size), max(size)
    other = int(26 * long / short)
    w, hgt = (other, 26) if size[0] > size[1] else (26, other)
    whole = np.asarray(bilinear(rgb(data), (w, hgt)))
    left, top = (w - 22) // 2, (hgt - 22) // 2
    assert np.array_equal(got(server, "resnet", data)[0], whole[top:top + 22, left:left + 22])


# --- every path ---

@pytest.mark.parametrize("kind", ["image/png", "application/x-image", "image/*", "image/jpeg"])
def test_every_path_takes_images(server, kind):
    data = png(photo(8, 8))
    want = np.asarray(rgb(data)).tolist()
    base = f"http://127.0.0.1:{server.port}"

    def post(path):
        return requests.post(base + path, data=data, headers={"Content-Type": kind}, timeout=60)
    native = post("/v1/models/exact/predict")
    assert native.status_code == 200, native.text
    assert native.json()["prediction"] == {"y": want}
    assert post("/v1/models/exact/versions/1/predict").json()["prediction"] == {"y": want}
    whole = post("/models/exact/invoke")
    assert whole.json() == {"predictions": {"y": [want]}}
    assert infer(server, "exact", data, kind).json()["outputs"][0]["shape"] == [1, 8, 8, 3]


def test_the_default_model_takes_them_at_invocations(serve, tmp_path):
    echo(tmp_path / "m" / "model.onnx", ("n", 2, 2, 3), T.UINT8)
    (tmp_path / "galley.yaml").write_text(
        f"invocations: sagemaker\nmodels:\n  - path: {tmp_path / 'm'}\n    image: {{layout: NHWC}}\n")
    s = serve("--config", tmp_path / "galley.yaml")
    reply = requests.post(f"http://127.0.0.1:{s.port}/invocations", data=png(photo(2, 2)), timeout=60,
                          headers={"Content-Type": "application/x-image", "Accept": "text/csv"})
    assert reply.status_code == 200 and len(reply.text.split(",")) == 12, reply.text


# --- what is refused ---

def bomb(width, height):
    """An image of one colour: small as a file."""
    rows = zlib.compress(b"\0" * ((width + 1) * 64), 9)
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", rows) + chunk(b"IEND", b""))


GOOD = png(np.zeros((8, 8, 3), np.uint8))
GOOD_JPEG = jpeg(Image.fromarray(np.zeros((64, 64, 3), np.uint8)))
REFUSED = [
    ("exact", b"", 415, "the body is empty, expected an image"),
    ("exact", b"GIF89a", 415, "the image is neither PNG nor JPEG"),
    ("exact", GOOD[:60], 400, "the PNG ends early"),
    ("exact", GOOD[:-5], 400, "the PNG ends early"),
    ("exact", GOOD[:20] + b"\xff" + GOOD[21:], 400, "the PNG cannot be read: "),
    ("exact", GOOD_JPEG[:100], 400, "the JPEG ends early"),
    ("exact", GOOD_JPEG[:-2], 400, "the JPEG ends early"),
    ("exact", GOOD_JPEG.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x63"), 400,
     "the JPEG cannot be read: "),
    ("exact", png(photo(9, 8)), 400, "the image has 9 x 8 pixels, the model takes 8 x 8"),
    ("own", bomb(60000, 60000), 413, "the image has 60000 x 60000 pixels; at most 33554432 may be "
     "sent (max_pixels), and 65500 a side"),
    ("raw", bomb(65, 64), 413, "the image has 65 x 64 pixels; at most 4096 may be sent "
     "(max_pixels), and 65500 a side"),
    ("none", GOOD, 415, "model 'none' takes no images; give it an image block in galley's "
     "configuration, or send its tensors"),
]


@pytest.mark.parametrize("model, data, status, message", REFUSED)
def test_what_cannot_be_read_is_refused(server, model, data, status, message):
    reply = infer(server, model, data)
    assert reply.status_code == status, reply.text
    told = reply.json()["error"]
    assert told.startswith(message) if message.endswith(": ") else told == message


def test_damaged_files_harm_nobody(server):
    """Bytes turned at random: an answer each time, and the server answers the next."""
    rng = np.random.default_rng(2)
    for data in (png(photo(20, 20)), jpeg(Image.fromarray(photo(20, 20)), progressive=True)):
        for _ in range(150):
            broken = bytearray(data)
            for at in rng.integers(0, len(data), 3):
                broken[at] = int(rng.integers(0, 256))
            assert infer(server, "bytes", bytes(broken)).status_code in (200, 400, 413, 415)
    assert got(server, "bytes", png(photo(4, 4))).shape == (1, 4, 4, 3)


CONFIGS = [
    ("{width: 0}", "image: width: must be a whole number of pixels from 1 to 65500"),
    ("{layout: CHW}", "image: layout: must be NCHW or NHWC"),
    ("{resize: cover}", "image: resize: must be stretch, fit, crop or exact"),
    ("{color: yuv}", "image: color: must be rgb, bgr or gray"),
    ("{mean: [1, 2]}", "image: mean: must be a number, or a list of three"),
    ("{std: 0}", "image: std: must be a number above 0, or a list of three"),
    ("{scale: 1/0}", "image: scale: must be a number above 0, as 1/255"),
    ("{pad: 256}", "image: pad: must be a whole number from 0 to 255"),
    ("{short_side: 8}", "image: short_side is for resize: crop"),
    ("{depth: 8}", "image: depth: unknown key; there are input, layout, resize, color, orientation, "
     "width, height, short_side, scale, mean, std, pad and max_pixels"),
    ("on", "image: must be a mapping of "),
]


@pytest.mark.parametrize("block, message", CONFIGS)
def test_a_wrong_configuration_is_told_with_its_line(tmp_path, block, message):
    echo(tmp_path / "m" / "model.onnx", ("n", 3, 8, 8))
    (tmp_path / "galley.yaml").write_text(f"models:\n  - path: {tmp_path / 'm'}\n    image: {block}\n")
    done = harness.galley("serve", "--config", tmp_path / "galley.yaml", "--http-port", 0)
    assert done.returncode != 0
    assert message in done.stderr and "galley.yaml:3" in done.stderr, done.stderr


@pytest.mark.parametrize("shape, t, block, message", [
    (("n", 3, 8, 8), T.FLOAT, "{layout: NHWC}", "the model's number of channels is 8, not 3"),
    (("n", 3, 8, 8), T.FLOAT, "{width: 9}", "the model's width is 8, not 9"),
    (("n", 3, 8, 8), T.FLOAT, "{input: y}", "the model has no input 'y'"),
    (("n", 3, 8, "w"), T.FLOAT, "{}", "the model leaves one of height and width open: say both"),
    (("n", 8), T.FLOAT, "{}", "an image fills a tensor of [1,C,H,W] or [C,H,W], the input's shape is [-1,8]"),
    ((2, 3, 8, 8), T.FLOAT, "{}", "the input's shape is [2,3,8,8]"),
    (("n", 3, 8, 8), T.INT64, "{}", "images become FP32, FP16 or UINT8, the input is INT64"),
])
def test_a_block_that_does_not_fit_the_model_fails_its_load(serve, tmp_path, shape, t, block, message):
    echo(tmp_path / "m" / "model.onnx", shape, t)
    (tmp_path / "galley.yaml").write_text(f"models:\n  - path: {tmp_path / 'm'}\n    image: {block}\n")
    s = serve("--config", tmp_path / "galley.yaml", wait="live")
    reply = s.post("/v2/models/m/infer", {"inputs": []})
    assert reply.status == 503
    s.wait_line("model_failed")
    assert message in s.log()
