# SPDX-License-Identifier: Apache-2.0
"""OCI layouts as tar files and directories, made and read without galley's help."""
import hashlib
import io
import json
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def describe(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **more}


def encode(document):
    return json.dumps(document, sort_keys=True).encode()


def manifest(blobs, layers, **more):
    """Layers (name -> bytes) go into blobs; returns the manifest's descriptor."""
    config = b"{}"
    blobs[digest_of(config)] = config
    described = []
    for name, data in layers.items():
        blobs[digest_of(data)] = data
        described.append(describe("application/octet-stream", data,
                                  annotations={"org.opencontainers.image.title": name}))
    text = encode({"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.galley.test",
                   "config": describe("application/vnd.oci.empty.v1+json", config), "layers": described, **more})
    blobs[digest_of(text)] = text
    return describe(MANIFEST, text)


def index(blobs, descriptors):
    text = encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors})
    blobs[digest_of(text)] = text
    return describe(INDEX, text)


def write_tar(path, blobs, tops):
    """A tar of a layout whose index.json names `tops`."""
    files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
             "index.json": encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": tops})}
    files.update({"blobs/sha256/" + d.split(":")[1]: data for d, data in blobs.items()})
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def artifact(path, layers, **more):
    """A tar with one manifest; returns its digest."""
    blobs = {}
    top = manifest(blobs, layers, **more)
    write_tar(path, blobs, [top])
    return top["digest"]


def read_tar(path):
    """blobs by digest, each held against it, and index.json."""
    blobs = {}
    with tarfile.open(path) as tar:
        for entry in tar:
            if entry.isfile():
                blobs[entry.name] = tar.extractfile(entry).read()
    found = {"sha256:" + name.split("/")[-1]: data for name, data in blobs.items() if name.startswith("blobs/")}
    for digest, data in found.items():
        assert digest_of(data) == digest
    return found, json.loads(blobs["index.json"])


def layers_of(path):
    """name -> bytes of the only manifest of a tar."""
    blobs, top = read_tar(path)
    (descriptor,) = top["manifests"]
    text = json.loads(blobs[descriptor["digest"]])
    return {d["annotations"]["org.opencontainers.image.title"]: blobs[d["digest"]] for d in text["layers"]}
