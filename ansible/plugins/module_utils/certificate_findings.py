"""What there is to say of a certificate, its key and its CA: pure functions on PEM text, each finding with its fix."""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

RENEW_BEFORE = datetime.timedelta(days=30)
Now = datetime.datetime
T = TypeVar("T")


class Unreadable(Exception):
    """A file that holds no certificate or key; its text says why and what to do."""


def load(kind: str, path: str) -> bytes:
    """Return what is in `path`.

    Raises:
        Unreadable: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        fix = "Give a file on the controller that you may read."
        raise Unreadable(f"{kind} {path} cannot be read: {error.strerror}. -> {fix}") from error


def certificates_in(kind: str, path: str) -> list[x509.Certificate]:
    """Return the certificates in a PEM file: the host's own first.

    Raises:
        Unreadable: there is none.
    """
    text = load(kind, path)
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        raise Unreadable(f"{kind} {path} holds no certificate in PEM. -> Convert it: openssl x509 -in FILE") from None


def key_in(kind: str, path: str) -> PrivateKeyTypes:
    """Return the private key in a PEM file.

    Raises:
        Unreadable: there is none, or it has a passphrase.
    """
    text = load(kind, path)
    try:
        return serialization.load_pem_private_key(text, password=None)
    except TypeError:
        fix = f"Take it off: openssl pkey -in {path}"
        raise Unreadable(f"{kind} {path} has a passphrase, which no server could type. -> {fix}") from None
    except (ValueError, UnsupportedAlgorithm):
        raise Unreadable(f"{kind} {path} holds no private key in PEM. -> Convert it: openssl pkey -in FILE") from None


def names_of(certificate: x509.Certificate) -> set[str]:
    """Return the DNS names and IP addresses a certificate is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return {name.lower() for name in names.get_values_for_type(x509.DNSName)} | addresses


def is_address(name: str) -> bool:
    """Return whether `name` is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def alternative_names(names: list[str]) -> list[str]:
    """Return `names` as a certificate request has them: `IP:...` or `DNS:...`."""
    return [f"{'IP' if is_address(name) else 'DNS'}:{name.lower()}" for name in names]


def covers(has: set[str], name: str) -> bool:
    """Return whether one of the names in `has`, which may begin with `*.`, is `name`."""
    name = name.lower()
    return name in has or (not is_address(name) and f"*.{name.partition('.')[2]}" in has)


def matches(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    """Return whether `key` is the certificate's own."""
    return key.public_key() == certificate.public_key()


def is_signed_by(certificate: x509.Certificate, issuers: list[x509.Certificate]) -> bool:
    """Return whether one of `issuers` has signed the certificate."""
    for issuer in issuers:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return True
    return False


def leads_to(chain: list[x509.Certificate], issuers: list[x509.Certificate]) -> bool:
    """Return whether each certificate of a chain is signed by its successor, until one of `issuers` has signed one."""
    for certificate, successor in zip(chain, [*chain[1:], None], strict=True):
        if is_signed_by(certificate, issuers):
            return True
        if successor is None or not is_signed_by(certificate, [successor]):
            return False
    return False


def refused_by_a_client(given: dict[str, str], name: str) -> str | None:
    """Return why a client as strict as Python 3.13 refuses a server with these files under `name`, or None."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=given["ca"])
    client.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    try:
        server.load_cert_chain(given["certificate"], given["private_key"])
        answering = server.wrap_bio(to_server, to_client, server_side=True)
        for end in (asking, answering):
            with contextlib.suppress(ssl.SSLWantReadError):  # the other end's turn
                end.do_handshake()
        asking.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return error.verify_message
    except ssl.SSLError as error:
        return error.reason
    return None


def about_own(paths: dict[str, str], names: list[str], now: Now) -> str | None:
    """Return why the platform's CA has to make a host's certificate (anew), or None if the one that is there will do.

    Args:
        paths: the files `ca`, `certificate` and `private_key`.
        names: what the host is called.
        now: the time.
    """
    if not Path(paths["certificate"]).exists() or not Path(paths["private_key"]).exists():
        return "there is none"
    try:
        certificate = certificates_in("the certificate", paths["certificate"])[0]
        key = key_in("the key", paths["private_key"])
        issuers = certificates_in("the CA", paths["ca"])
    except Unreadable as error:
        return str(error).split(". ->")[0]
    if not matches(key, certificate):
        return "its key does not match"
    if certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it ends on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if names_of(certificate) != {name.lower() for name in names}:
        return "the host is called otherwise now"
    return None if is_signed_by(certificate, issuers) else "the CA is another one now"


def about_ca(paths: dict[str, str], now: Now) -> str | None:
    """Return why the platform's CA has to be made (anew), or None. Arguments as above: `ca` and `ca_key`."""
    if not Path(paths["ca"]).exists() or not Path(paths["ca_key"]).exists():
        return "there is none"
    try:
        certificate = certificates_in("the CA", paths["ca"])[0]
        key = key_in("the CA's key", paths["ca_key"])
    except Unreadable as error:
        return str(error).split(". ->")[0]
    if not matches(key, certificate):
        return "its key does not match"
    ends = certificate.not_valid_after_utc
    return f"it ends on {ends:%Y-%m-%d}" if ends - now < RENEW_BEFORE else None


def about_given(given: dict[str, str], names: list[str], now: Now) -> list[str]:
    """Return findings about a certificate of the site's own.

    Args:
        given: the files `certificate`, `private_key` and `ca`; all empty means there is none.
        names: what the certificate has to be for.
        now: the time.
    """
    variables = {kind: f"platform_tls_{kind}" for kind in ("certificate", "private_key", "ca")}
    if not given["certificate"] and not given["private_key"]:
        return []
    findings = [
        f"{variables[kind]} is empty. -> {fix}"
        for kind, fix in (
            ("certificate", "Give the certificate that belongs to platform_tls_private_key."),
            ("private_key", "Give the key that belongs to platform_tls_certificate."),
            ("ca", "Give the certificate of the CA that signed platform_tls_certificate, for the clients to trust."),
        )
        if not given[kind]
    ]
    chain = _read(certificates_in, variables, given, "certificate", findings)
    key = _read(key_in, variables, given, "private_key", findings)
    issuers = _read(certificates_in, variables, given, "ca", findings)
    if not chain:
        return findings
    certificate, what = chain[0], f"platform_tls_certificate {given['certificate']}"
    if certificate.not_valid_after_utc <= now:
        findings.append(f"{what} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}. -> Have it renewed.")
    if certificate.not_valid_before_utc > now:
        begins = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        findings.append(f"{what} is not valid before {begins}. -> Wait, or set the controller's clock.")
    has = names_of(certificate)
    missing = [name for name in names if not covers(has, name)]
    if missing:
        fix = "Have one issued for these names as well, or set platform_address to one it has."
        findings.append(f"{what} is for {', '.join(sorted(has)) or 'no name'}, not for {', '.join(missing)}. -> {fix}")
    if key and not matches(key, certificate):
        fix = "Give the key this certificate was requested with."
        findings.append(f"platform_tls_private_key {given['private_key']} does not match {what}. -> {fix}")
    if issuers and not leads_to(chain, issuers):
        fix = "Give its CA, or add the intermediate certificates to platform_tls_certificate."
        findings.append(f"{what} does not lead to platform_tls_ca {given['ca']}. -> {fix}")
    reason = None if findings else refused_by_a_client(given, names[0])
    if reason:
        fix = "Have it issued by a CA with a critical basic constraint, key usage and key identifiers (RFC 5280)."
        findings.append(f"{what} is refused by Python's clients: {reason}. -> {fix}")
    return findings


def _read(
    reader: Callable[[str, str], T], variables: dict[str, str], given: dict[str, str], kind: str, findings: list[str]
) -> T | None:
    """Return what `reader` finds in a given file, or None with a finding added."""
    if not given[kind]:
        return None
    try:
        return reader(variables[kind], given[kind])
    except Unreadable as error:
        findings.append(str(error))
        return None
