# SPDX-License-Identifier: Apache-2.0
"""Certificates that the tests make for themselves."""
import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HOUR = datetime.timedelta(hours=1)


class Pair:
    """A certificate and its key, in memory and as two PEM files."""

    def __init__(self, folder, name, cn=None, issuer=None, names=(), uris=(), key=None, ca=False,
                 begins=-HOUR, ends=24 * HOUR):
        now = datetime.datetime.now(datetime.timezone.utc)
        self.key_object = rsa.generate_private_key(65537, 2048) if key == "rsa" else \
            ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn or name)])
        builder = (x509.CertificateBuilder().subject_name(subject)
                   .issuer_name(issuer.object.subject if issuer else subject)
                   .public_key(self.key_object.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now + begins).not_valid_after(now + ends)
                   .add_extension(x509.BasicConstraints(ca, None), critical=True))
        others = [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit() else x509.DNSName(n)
                  for n in names] + [x509.UniformResourceIdentifier(u) for u in uris]
        if others:
            builder = builder.add_extension(x509.SubjectAlternativeName(others), critical=False)
        self.object = builder.sign((issuer or self).key_object, hashes.SHA256())
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}-key.pem"
        self.cert.write_bytes(self.object.public_bytes(serialization.Encoding.PEM))
        self.write_key(self.key)

    def write_key(self, path, password=None):
        how = serialization.BestAvailableEncryption(password) if password else \
            serialization.NoEncryption()
        path.write_bytes(self.key_object.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how))
        return path

    @property
    def serial(self):
        return self.object.serial_number


def server_pair(folder, name="server", **options):
    return Pair(folder, name, cn="localhost", names=["localhost", "127.0.0.1"], **options)
