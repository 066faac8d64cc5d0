"""What a secured cluster needs: an authority of the test's own, certificates, users, and tokens."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.kafka.properties import Addresses
from tests.kafka.tokens import TokenEndpoint

_LOGIN = "org.apache.kafka.common.security"
_ALLOWED_URLS = "org.apache.kafka.sasl.oauthbearer.allowed.urls"


class Security:
    """TLS on 127.0.0.1, where a user may do what an ACL allows, and nothing else.

    On `sasl_servers` the users come by SCRAM-SHA-512 with their passwords, or by OAUTHBEARER with a token that they get
    at `token_url` for their name and password as a client's id and secret. On `ssl_servers` they come with the
    certificate of `certificate(user)`. Whichever way, their principal is `User:` and their name.
    """

    def __init__(self, folder: Path, nodes: Sequence[Addresses], passwords: dict[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.passwords = passwords or {"muniment": "a-pass-word-of-the-node", "stranger": "a-pass-word-of-nobody"}
        self.ca_file = folder / "ca.pem"
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._ca = self._sign("Test authority", self._key)
        self.ca_file.write_bytes(self._ca.public_bytes(Encoding.PEM))
        certificate, key = self.certificate("127.0.0.1")
        keys = folder / "broker.pem"
        keys.write_bytes(key.read_bytes() + certificate.read_bytes())
        self.tokens = TokenEndpoint(folder, self.passwords)
        self.token_url = self.tokens.url
        ports = [node.secured for node in nodes if node.secured]
        self.sasl_servers = ",".join(f"127.0.0.1:{sasl}" for sasl, _ in ports)
        self.ssl_servers = ",".join(f"127.0.0.1:{ssl}" for _, ssl in ports)
        self.jvm = (f"-D{_ALLOWED_URLS}={self.tokens.keys_url}",)
        self.storage_arguments = [
            argument
            for name, password in self.passwords.items()
            for argument in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")
        ]
        bearer = "listener.name.sasl.oauthbearer.sasl"
        self.settings = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keys),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ca_file),
            "ssl.principal.mapping.rules": "RULE:^CN=(.*)$/$1/",
            "listener.name.ssl.ssl.client.auth": "required",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512,OAUTHBEARER",
            "listener.name.sasl.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
            f"{bearer}.jaas.config": f"{_LOGIN}.oauthbearer.OAuthBearerLoginModule required;",
            f"{bearer}.server.callback.handler.class": f"{_LOGIN}.oauthbearer.OAuthBearerValidatorCallbackHandler",
            "sasl.oauthbearer.jwks.endpoint.url": self.tokens.keys_url,
            "sasl.oauthbearer.expected.audience": self.tokens.audience,
            "sasl.oauthbearer.expected.issuer": self.tokens.issuer,
        }

    def certificate(self, name: str) -> tuple[Path, Path]:
        """The files of a certificate for a user, or an address, and of its key; PEM."""
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        if not certificate_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            certificate_file.write_bytes(self._sign(name, key).public_bytes(Encoding.PEM))
        return certificate_file, key_file

    def close(self) -> None:
        self.tokens.close()

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
        authority = key is self._key
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if authority else self._ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_usage(authority), critical=True)
        )
        if not authority:
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            here = [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
