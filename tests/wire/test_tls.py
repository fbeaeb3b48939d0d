# SPDX-License-Identifier: Apache-2.0
"""HTTPS: clients that others wrote, versions and ciphers, sessions, clients' certificates, and
certificates that change while requests run."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import numpy as np
import pytest

import harness
import models
from h2_client import SETTINGS, h2spec_failures
from harness import Server, SCALE, wait_until

certificates = pytest.importorskip("certificates", reason="cryptography is not installed")
HAS_OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no openssl here")
HAS_CURL = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
ROW = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2],
                              "data": [1.5, -2]}]}).encode()
INFER = harness.request("POST", "/v2/models/id/infer", ROW)


class TlsServer(Server):
    """A server with HTTPS beside HTTP, on ports of the system's choosing."""

    def __init__(self, pair, *args, paths, **options):
        super().__init__("--https-port", "0", "--tls-certificate", pair.cert, "--tls-key", pair.key,
                         *args, paths=paths, **options)
        self.pair = pair

    @property
    def https_port(self):
        return self.port_of("https")

    def count(self, metric, **labels):
        text = self.get("/metrics").body.decode()
        for line in text.splitlines():
            if line.startswith(metric + "{") and all(f'{k}="{v}"' in line
                                                     for k, v in labels.items()):
                return float(line.rsplit(" ", 1)[1])
        return 0

    def open(self, context=None, session=None, timeout=20):
        """A connection over TLS, as Python has it."""
        context = context or client(self.pair)  # first: the handshake has its time
        raw = socket.create_connection(("127.0.0.1", self.https_port), timeout=timeout * SCALE)
        return context.wrap_socket(raw, server_hostname="localhost", session=session)

    def ask(self, data=INFER, **options):
        with self.open(**options) as s:
            return exchange(s, data)


def client(ca, version=None, pair=None):
    c = ssl.create_default_context(cafile=ca.cert)
    if version:
        c.minimum_version = c.maximum_version = version
    if pair:
        c.load_cert_chain(pair.cert, pair.key)
    return c


def exchange(s, data=INFER):
    s.sendall(data)
    answer = http.client.HTTPResponse(s)
    answer.begin()
    return answer.status, answer.read()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def pair(folder):
    return certificates.server_pair(folder)


@pytest.fixture(scope="module")
def paths(folder):
    models.identity(folder / "models" / "id" / "model.onnx", shape=("n", "m"))
    return [folder / "models"]


@pytest.fixture(scope="module")
def server(pair, paths):
    with TlsServer(pair, "--threads", "2", "--log-level", "debug", paths=paths) as s:
        yield s


# --- clients that others wrote ---

@HAS_CURL
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl(server, version):
    def curl(*args):
        return subprocess.run(
            ["curl", "-sS", "--cacert", server.pair.cert, f"--tlsv{version}", "--tls-max", version,
             *args, f"https://localhost:{server.https_port}/v2/models/id/infer"],
            capture_output=True, text=True, timeout=30 * SCALE, check=False)
    done = curl("--http1.1", "-d", ROW.decode(), "-w", " %{http_version} %{ssl_verify_result}")
    assert done.returncode == 0, done.stderr
    assert '"data":[1.5,-2' in done.stdout and done.stdout.endswith(" 1.1 0")
    done = curl("--http2", "-d", ROW.decode(), "-w", " %{http_version} %{ssl_verify_result}")
    assert done.returncode == 0, done.stderr
    assert '"data":[1.5,-2' in done.stdout and done.stdout.endswith(" 2 0")
    # A server that is not whom it should be is found out by the client, and that is counted.
    before = server.count("galley_tls_handshake_failures_total", reason="refused")
    wrong = subprocess.run(["curl", "-sS", f"--tlsv{version}", "--tls-max", version,
                            f"https://localhost:{server.https_port}/"],
                           capture_output=True, text=True, timeout=30 * SCALE, check=False)
    assert wrong.returncode == 60
    wait_until(lambda: server.count("galley_tls_handshake_failures_total",
                                    reason="refused") == before + 1, 10, "the count of refusals")


def test_tritonclient(server):
    triton = pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")
    x = np.arange(200000, dtype=np.float32).reshape(1, -1)
    with triton.InferenceServerClient(f"localhost:{server.https_port}", ssl=True,
                                      ssl_options={"ca_certs": str(server.pair.cert)}) as c:
        assert c.is_server_ready()
        i = triton.InferInput("x", list(x.shape), "FP32")
        for binary in (True, False):
            i.set_data_from_numpy(x, binary_data=binary)
            y = c.infer("id", [i], outputs=[triton.InferRequestedOutput("y", binary_data=binary)])
            assert (y.as_numpy("y") == x).all()


def test_large_bodies_both_ways_and_a_reader_that_dawdles(server):
    x = np.random.default_rng(1).random((1, 4_000_000), np.float32)
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, x.size],
                                   "parameters": {"binary_data_size": x.nbytes}}],
                       "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode()
    data = harness.request("POST", "/v2/models/id/infer", head + x.tobytes(),
                           {"Inference-Header-Content-Length": str(len(head))})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with server.open(client(server.pair, version)) as s:
            for _ in range(2):
                status, body = exchange(s, data)
                assert status == 200 and body.endswith(x.tobytes())


@HAS_CURL
def test_large_bodies_over_http2(server, tmp_path):
    x = np.random.default_rng(2).random((1, 2_000_000), np.float32)
    head = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, x.size],
                                   "parameters": {"binary_data_size": x.nbytes}}],
                       "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}).encode()
    (tmp_path / "in").write_bytes(head + x.tobytes())
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", server.pair.cert, "--data-binary",
         f"@{tmp_path / 'in'}", "-o", tmp_path / "out", "-w", "%{http_code} %{http_version}",
         "-H", f"Inference-Header-Content-Length: {len(head)}",
         f"https://localhost:{server.https_port}/v2/models/id/infer"],
        capture_output=True, text=True, timeout=60 * SCALE, check=False)
    assert done.returncode == 0 and done.stdout == "200 2", done
    assert (tmp_path / "out").read_bytes().endswith(x.tobytes())


@pytest.mark.skipif(not shutil.which("h2load"), reason="there is no h2load here")
def test_many_streams_on_many_connections(server):
    done = subprocess.run(["h2load", "-n", "4000", "-c", "16", "-m", "50",
                           f"https://127.0.0.1:{server.https_port}/v2/health/live"],
                          capture_output=True, text=True, timeout=60 * SCALE, check=False)
    assert "4000 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout + done.stderr
    assert "Application protocol: h2" in done.stdout


def test_pipelined_requests_are_answered_in_order(server):
    n = 300
    with server.open() as s:
        s.sendall(b"".join(harness.request("GET", "/v2/health/live", headers={"X-Request-ID": f"r{i}"})
                           for i in range(n)))
        stream = s.makefile("rb")
        for i in range(n):
            headers = {}
            assert stream.readline().startswith(b"HTTP/1.1 200")
            while (line := stream.readline().strip()):
                key, value = line.split(b": ", 1)
                headers[key.lower()] = value
            stream.read(int(headers[b"content-length"]))
            assert headers[b"x-request-id"] == f"r{i}".encode()


# --- what is spoken ---

def s_client(server, *args, stdin="", timeout=20):
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{server.https_port}",
                           "-CAfile", server.pair.cert, *args], input=stdin, capture_output=True,
                          text=True, errors="replace", timeout=timeout * SCALE, check=False)


@HAS_OPENSSL
def test_versions(server):
    for flag in ("-tls1", "-tls1_1"):
        done = s_client(server, flag, "-cipher", "DEFAULT@SECLEVEL=0")
        assert done.returncode != 0 and "Cipher is (NONE)" in done.stdout, flag
    for flag, version in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
        done = s_client(server, flag)
        assert f"{version}, Cipher is " in done.stdout and "Verify return code: 0" in done.stdout
        assert "Compression: NONE" in done.stdout
    assert server.count("galley_tls_handshake_failures_total", reason="version") >= 2


@HAS_OPENSSL
def test_only_forward_secret_authenticated_ciphers(folder, paths):
    """With an RSA key, to which more of the old ciphers would fit."""
    rsa = certificates.server_pair(folder, "rsa", key="rsa")
    with TlsServer(rsa, paths=paths) as s:
        for weak in ("AES128-SHA", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA",
                     "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES128-GCM-SHA256", "AES256-SHA256",
                     "CAMELLIA128-SHA", "NULL", "aNULL"):
            done = s_client(s, "-tls1_2", "-cipher", f"{weak}:@SECLEVEL=0")
            unknown = "no cipher match" in done.stderr  # to the client: it cannot even ask
            assert done.returncode != 0 and (unknown or "Cipher is (NONE)" in done.stdout), weak
        for good in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384",
                     "ECDHE-RSA-CHACHA20-POLY1305"):
            assert f"Cipher is {good}" in s_client(s, "-tls1_2", "-cipher", good).stdout
        for good in ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                     "TLS_CHACHA20_POLY1305_SHA256"):
            assert f"Cipher is {good}" in s_client(s, "-tls1_3", "-ciphersuites", good).stdout


@HAS_OPENSSL
def test_renegotiation_is_refused(server):
    done = s_client(server, "-tls1_2", stdin="R\n")
    assert "RENEGOTIATING" in done.stderr
    assert "no renegotiation" in done.stderr


def test_least_version(pair, paths):
    with TlsServer(pair, "--tls-min-version", "1.3", paths=paths) as s:
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            s.ask(context=client(pair, ssl.TLSVersion.TLSv1_2))
        assert s.ask(context=client(pair, ssl.TLSVersion.TLSv1_3))[0] == 200


def test_alpn(server):
    context = client(server.pair)
    context.set_alpn_protocols(["http/1.1"])
    with server.open(context) as s:
        assert s.selected_alpn_protocol() == "http/1.1"
        assert exchange(s)[0] == 200
    context.set_alpn_protocols(["http/1.1", "h2"])  # the server's order counts
    with server.open(context) as s:
        assert s.selected_alpn_protocol() == "h2"
    context.set_alpn_protocols(["spdy/3"])
    with pytest.raises(ssl.SSLError):
        server.open(context)


def test_h2spec_finds_nothing(server, tmp_path):
    """Who has agreed on HTTP/2 speaks it from the first byte, on a port that speaks HTTP/1.1 too."""
    assert h2spec_failures(server.https_port, tmp_path / "report.xml", "-t", "-k") == []


def test_who_agrees_on_http2_does_not_speak_http1(server):
    context = client(server.pair)
    context.set_alpn_protocols(["h2"])
    for data in (INFER, b"x"):
        with server.open(context) as s:
            s.sendall(data)
            answer = b"".join(iter(lambda: s.recv(4096), b""))
        assert answer == b"" or (b"HTTP/1.1" not in answer and answer[3] == SETTINGS), answer


# --- sessions ---

@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_resume_on_any_loop(server, version):
    context, session, peers = client(server.pair, version), None, 12
    label = version.name.replace("TLSv", "").replace("_", ".")
    before = server.count("galley_tls_handshakes_total", version=label, resumed="yes")
    for i in range(peers):  # the kernel spreads them over both loops
        with server.open(context, session=session) as s:
            assert exchange(s)[0] == 200
            assert s.session_reused == (i > 0)
            session = s.session
    after = server.count("galley_tls_handshakes_total", version=label, resumed="yes")
    assert after == before + peers - 1


# --- bad peers ---

def test_plain_http_is_told_so(server):
    before = server.count("galley_tls_handshake_failures_total", reason="http")
    with harness.Conn(server.https_port) as c:
        c.send(harness.request("GET", "/"))
        reply = c.reply()
        assert reply.status == 400 and "https://" in reply.json()["detail"]
        assert c.at_end()
    assert server.count("galley_tls_handshake_failures_total", reason="http") == before + 1
    line = server.wait_line("tls_handshake_failed", reason="http")
    assert line["level"] == "debug" and line["peer"].startswith("127.0.0.1:")


def test_garbage_is_cut_off(server):
    for garbage in (b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"a" * 70000, b"\x80\x2e\x01\x00\x02",
                    os.urandom(4096)):
        with harness.Conn(server.https_port) as c:
            c.try_send(b"\x01" + garbage)  # never the first byte of a text or a handshake
            c.half_close()
            while True:
                try:
                    c._more()
                except harness.Closed:
                    break
    assert server.ask()[0] == 200


def test_slow_handshakes_are_cut(pair, paths):
    with TlsServer(pair, "--head-timeout", f"{500 * SCALE}ms", "--idle-timeout", "60s", paths=paths) as s:
        silent, begun = harness.Conn(s.https_port), harness.Conn(s.https_port)
        begun.send(b"\x16\x03\x01\x02\x00\x01")
        assert silent.at_end() and begun.at_end()
        assert s.count("galley_tls_handshake_failures_total", reason="timeout") == 2
        with s.open() as slow:  # behind the handshake the idle timeout holds
            assert exchange(slow)[0] == 200


# --- clients' certificates ---

def test_clients_certificates(folder, pair, paths):
    ca = certificates.Pair(folder, "ca", ca=True)
    good = certificates.Pair(folder, "good", cn="billing", issuer=ca)
    spiffe = certificates.Pair(folder, "spiffe", issuer=ca, names=["a.example"],
                               uris=["spiffe://prod/ns/a"])
    late = certificates.Pair(folder, "late", issuer=ca, begins=-3 * certificates.HOUR,
                             ends=-certificates.HOUR)
    stranger = certificates.Pair(folder, "stranger")
    refused = (ssl.SSLError, ConnectionError, http.client.HTTPException)
    demand = ("--tls-client-ca", ca.cert, "--tls-client-auth")
    with TlsServer(pair, *demand, "require", paths=paths) as s:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for who, name in ((good, "billing"), (spiffe, "spiffe://prod/ns/a")):
                n = len(s.lines("request"))
                assert s.ask(context=client(pair, version, who))[0] == 200
                assert s.wait_line("request", client=name, after=n)["path"] == "/v2/models/id/infer"
            for who in (None, stranger, late):
                with pytest.raises(refused):
                    s.ask(context=client(pair, version, who))
        harness.wait_until(lambda: s.count("galley_tls_handshake_failures_total", reason="certificate") == 6,
                           20, "six failures to be counted")
        if shutil.which("curl"):
            n = len(s.lines("request"))
            subprocess.run(["curl", "-sS", "--http2", "--cacert", pair.cert, "--cert", good.cert,
                            "--key", good.key, f"https://localhost:{s.https_port}/v2"],
                           timeout=30 * SCALE, check=True, capture_output=True)
            s.wait_line("request", client="billing", path="/v2", after=n)
        session, context = None, client(pair, pair=good)
        for i in range(2):  # who resumes a session keeps its name
            n = len(s.lines("request"))
            with s.open(context, session=session) as c:
                assert exchange(c)[0] == 200
                assert c.session_reused == (i == 1)
                session = c.session
            s.wait_line("request", client="billing", after=n)
    with TlsServer(pair, *demand, "optional", paths=paths) as s:
        assert s.ask(context=client(pair, pair=good))[0] == 200
        s.wait_line("request", client="billing")
        assert s.ask()[0] == 200
        with pytest.raises(refused):
            s.ask(context=client(pair, pair=stranger))

        def told():
            return [x.get("client") for x in s.lines("request") if x["path"].endswith("infer")]
        harness.wait_until(lambda: len(told()) == 2, 20, "the second's line")
        assert told() == ["billing", None]


# --- change without a restart ---

class Caller(threading.Thread):
    """Asks again and again, on one connection or on a new one each time."""

    def __init__(self, server, ca, keeps):
        super().__init__()
        self.server, self.keeps, self.done, self.failure, self.ending = server, keeps, 0, None, False
        self.context = client(ca)

    def run(self):
        s = None
        try:
            while not self.ending:
                if s is None:
                    s = self.server.open(self.context)
                assert exchange(s)[0] == 200
                self.done += 1
                if not self.keeps:
                    s.close()
                    s = None
        except Exception as e:  # pylint: disable=broad-except
            self.failure = e
        finally:
            if s:
                s.close()


def shown(server, ca):
    with server.open(client(ca)) as s:
        return int(s.getpeercert()["serialNumber"], 16)


def test_certificates_change_under_load(tmp_path, paths):
    """The files swap as Kubernetes swaps a secret's: by a link to another folder."""
    ca = certificates.Pair(tmp_path, "ca", ca=True)
    first, second = (certificates.server_pair(tmp_path, n, issuer=ca) for n in ("first", "second"))
    for n, p in (("one", first), ("two", second)):
        (tmp_path / n).mkdir()
        shutil.copy(p.cert, tmp_path / n / "tls.crt")
        shutil.copy(p.key, tmp_path / n / "tls.key")
    link = tmp_path / "live"
    link.symlink_to("one")

    class Live:
        cert, key = link / "tls.crt", link / "tls.key"

    def swap(to):
        (tmp_path / "next").symlink_to(to)
        os.replace(tmp_path / "next", link)

    with TlsServer(Live, "--tls-check-interval", "100ms", "--threads", "2", paths=paths) as s:
        callers = [Caller(s, ca, keeps) for keeps in (True, False)]
        for c in callers:
            c.start()
        try:
            assert shown(s, ca) == first.serial
            swap("two")
            wait_until(lambda: shown(s, ca) == second.serial, 20, "the second certificate")
            # A key without its certificate changes nothing, and is told.
            (tmp_path / "three").mkdir()
            shutil.copy(second.cert, tmp_path / "three" / "tls.crt")
            shutil.copy(first.key, tmp_path / "three" / "tls.key")
            swap("three")
            line = s.wait_line("certificate_not_loaded")
            assert line["level"] == "error" and "not that of the first certificate" in line["error"]
            assert line["place"].endswith("tls.key") and "belongs to it" in line["hint"]
            assert shown(s, ca) == second.serial
            swap("one")
            wait_until(lambda: shown(s, ca) == first.serial, 20, "the first certificate again")
            s.signal(signal.SIGHUP)
            s.wait_line("certificate_loaded", after=3)
            before = [c.done for c in callers]
            wait_until(lambda: all(c.done > b + 3 for c, b in zip(callers, before)), 20, "requests")
        finally:
            for c in callers:
                c.ending = True
            for c in callers:
                c.join()
        assert [c.failure for c in callers] == [None, None]
        assert all(c.done > 3 for c in callers)
        assert s.count("galley_tls_certificate_loads_total", status="error") == 1


# --- start ---

def start_fails(*args, paths):
    done = harness.galley("serve", *paths, "--http-port", "0", *args)
    assert done.returncode == 1, done
    return done.stderr


def test_wrong_settings_end_the_start(tmp_path, pair, paths):
    other = certificates.server_pair(tmp_path, "other")
    locked = pair.write_key(tmp_path / "locked.pem", b"secret")
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing\n")

    def tls(cert=pair.cert, key=pair.key, *more):
        return start_fails("--https-port", "0", "--tls-certificate", cert, "--tls-key", key, *more,
                           paths=paths)
    assert "nobody.pem" in tls(cert=tmp_path / "nobody.pem")
    assert "no certificate in PEM form" in tls(cert=broken)
    assert "no private key in PEM form" in tls(key=broken)
    text = tls(key=other.key)
    assert "not that of the first certificate" in text and "give the key that belongs" in text
    text = tls(key=locked)
    assert "encrypted" in text and "openssl pkey -in locked.pem" in text
    assert "tls_client_auth needs tls_client_ca" in tls(pair.cert, pair.key, "--tls-client-auth",
                                                        "require")
    assert "tls_client_auth is off" in tls(pair.cert, pair.key, "--tls-client-ca", pair.cert)
    assert "needs tls_certificate and tls_key" in start_fails("--https-port", "0", paths=paths)
    assert "https_port is off" in start_fails("--tls-certificate", pair.cert, paths=paths)
    assert "nothing listens" in start_fails("--http-port", "off", paths=paths)


def test_an_expired_certificate_is_warned_of(tmp_path, paths):
    hour = certificates.HOUR
    old = certificates.server_pair(tmp_path, "old", begins=-3 * hour, ends=-hour)
    early = certificates.server_pair(tmp_path, "early", begins=hour, ends=3 * hour)
    for p, event in ((old, "certificate_expired"), (early, "certificate_not_yet_valid")):
        with TlsServer(p, paths=paths) as s:
            line = s.wait_line(event)
            assert line["level"] == "warn" and line["subject"] == "CN = localhost"
            with pytest.raises(ssl.SSLCertVerificationError):
                s.ask()


def test_https_alone(pair, paths):
    s = TlsServer(pair, "--http-port", "off", paths=paths, wait=None, port="off")
    try:
        wait_until(lambda: s.lines("ready"), 30, "readiness")
        assert s.ask()[0] == 200
        assert not re.search(r"\"listening\".*\"http://", s.log())
    finally:
        s.stop()


def test_health_over_tls(server, folder, pair, paths):
    def health(*args, **env):
        done = harness.galley("health", *args, env=env)
        return done.returncode, done.stdout + done.stderr
    url = f"https://localhost:{server.https_port}"
    assert health(url, "--ca", pair.cert)[0] == 0
    assert health(f"https://127.0.0.1:{server.https_port}/health/live", "--ca", pair.cert)[0] == 0
    assert health(url, "--insecure") == (0, health(url, "--ca", pair.cert)[1])
    code, text = health(url)
    assert code == 1 and "self-signed certificate" in text and "--ca" in text
    other = certificates.Pair(folder, "elsewhere", names=["elsewhere.example"])
    code, text = health(url, "--ca", other.cert)
    assert code == 1 and "certificate" in text
    code, text = health(f"https://127.0.0.1:{server.port}", "--insecure", "--timeout", "5s")
    assert code == 1 and "TLS" in text
    code, text = health(url, "--key", pair.key)
    assert code == 1 and "--key needs --cert" in text
    # In the container of a server that has HTTPS alone.
    assert health(GALLEY_HTTP_PORT="off", GALLEY_HTTPS_PORT=str(server.https_port))[0] == 0
    with TlsServer(other, "--tls-client-auth", "require", "--tls-client-ca", pair.cert,
                   paths=paths) as s:
        url = f"https://localhost:{s.https_port}"
        code, text = health(url, "--ca", other.cert)
        assert code == 1 and "mismatch" in text.lower()
        code, text = health(url, "--insecure")
        assert code == 1 and "--cert" in text
        assert health(url, "--insecure", "--cert", pair.cert, "--key", pair.key)[0] == 0


# --- what it takes ---

def test_an_idle_connection_is_small(pair, paths):
    with TlsServer(pair, "--threads", "1", "--access-log", "off", paths=paths) as s:
        context, held = client(pair), []
        for _ in range(20):
            held.append(s.open(context))
            assert exchange(held[-1])[0] == 200
        before = s.rss()
        for _ in range(1000):
            held.append(s.open(context))
            assert exchange(held[-1])[0] == 200
        each = (s.rss() - before) / 1000
        print(f"an idle connection of TLS takes {each / 1024:.1f} KiB")
        for c in held:
            c.close()
        if not harness.SANITIZE:
            assert each < 64 * 1024


def test_requests_take_no_memory_of_their_own(server):
    def allocations():
        text = server.get("/metrics").body.decode()
        return int(re.search(r"^galley_allocations_total (\d+)", text, re.M).group(1))
    with server.open() as s:
        for _ in range(20):
            assert exchange(s)[0] == 200
        before, scrape = allocations(), 0
        scrape = allocations() - before
        before = allocations()
        for _ in range(200):
            assert exchange(s)[0] == 200
        assert allocations() - before <= scrape + 20


def test_a_drain_ends_connections_cleanly(pair, paths):
    with TlsServer(pair, paths=paths) as s:
        c = s.open()
        assert exchange(c)[0] == 200
        s.signal(signal.SIGTERM)
        assert c.recv(1) == b""  # a reset, or an end without a word, would raise
        c.close()
