"""Certificates: the site's own are judged before anything is changed, the platform's are renewed in time."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from module_utils.certificate_findings import about_ca, about_given, about_own, alternative_names

NOW = datetime.datetime.now(datetime.UTC)
NAMES = ["lab.example.org", "10.0.0.7"]
Key = ec.EllipticCurvePrivateKey


def write(path: Path, *objects: x509.Certificate | Key) -> str:
    """Write certificates or keys in PEM and return the path."""
    pem, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(
        b"".join(
            entry.public_bytes(pem)
            if isinstance(entry, x509.Certificate)
            else entry.private_bytes(pem, private, serialization.NoEncryption())
            for entry in objects
        )
    )
    return str(path)


def issue(
    key: Key,
    names: list[str],
    issuer: tuple[str, Key],
    subject: str = "host",
    first: int = -1,
    last: int = 90,
    bare: bool = False,
) -> x509.Certificate:
    """Return a certificate valid from day `first` to day `last`, counted from now; without names it is a CA's."""
    builder = x509.CertificateBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer[0])]),
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=NOW + datetime.timedelta(days=first),
        not_valid_after=NOW + datetime.timedelta(days=last),
    )
    if names:
        general: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
    if not bare:
        own, authority = key.public_key(), issuer[1].public_key()
        use = dict.fromkeys(("data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
        use |= dict.fromkeys(("content_commitment", "key_encipherment", "crl_sign"), False)
        builder = (
            builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(own), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority), critical=False)
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(digital_signature=bool(names), key_cert_sign=not names, **use), critical=True)
        )
    return builder.sign(issuer[1], hashes.SHA256())


@pytest.fixture
def ca_key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def files(tmp_path: Path, ca_key: Key, key: Key) -> dict[str, str]:
    """A CA, and a certificate of which there is nothing to say."""
    return {
        "ca": write(tmp_path / "ca.crt", issue(ca_key, [], ("ca", ca_key), "ca", last=3650)),
        "ca_key": write(tmp_path / "ca.key", ca_key),
        "certificate": write(tmp_path / "tls.crt", issue(key, NAMES, ("ca", ca_key))),
        "private_key": write(tmp_path / "tls.key", key),
    }


def given(files: dict[str, str], **more: str) -> dict[str, str]:
    """Return the files as a site gives them."""
    return {kind: files[kind] for kind in ("certificate", "private_key", "ca")} | more


def test_of_a_good_certificate_there_is_nothing_to_say(files: dict[str, str]) -> None:
    assert about_given(given(files), NAMES, NOW) == []
    assert about_own(files, NAMES, NOW) is None
    assert about_ca(files, NOW) is None


def test_without_files_of_the_site_s_own_there_is_nothing_to_judge() -> None:
    assert about_given({"certificate": "", "private_key": "", "ca": ""}, NAMES, NOW) == []


def test_everything_wrong_is_found_at_once_each_with_its_fix(files: dict[str, str], tmp_path: Path, key: Key) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    expired = issue(key, ["old.example.org"], ("stranger", other), first=-90, last=-1)
    wrong = given(files, certificate=write(tmp_path / "x.crt", expired), private_key=write(tmp_path / "x.key", other))
    findings = about_given(wrong, NAMES, NOW)
    for said in (
        f"has expired on {NOW - datetime.timedelta(days=1):%Y-%m-%d}",
        "is for old.example.org, not for lab.example.org, 10.0.0.7",
        "x.key does not match",
        "does not lead to platform_tls_ca",
    ):
        assert sum(said in finding for finding in findings) == 1, said
    assert len(findings) == 4 and all(" -> " in finding for finding in findings)


def test_a_certificate_of_tomorrow_is_not_valid_yet(
    files: dict[str, str], tmp_path: Path, key: Key, ca_key: Key
) -> None:
    early = write(tmp_path / "early.crt", issue(key, NAMES, ("ca", ca_key), first=1))
    (finding,) = about_given(given(files, certificate=early), NAMES, NOW)
    assert "is not valid before" in finding and "clock" in finding


def test_a_wildcard_is_for_one_label_and_for_no_address(
    files: dict[str, str], tmp_path: Path, key: Key, ca_key: Key
) -> None:
    wild = given(files, certificate=write(tmp_path / "w.crt", issue(key, ["*.example.org"], ("ca", ca_key))))
    assert about_given(wild, ["LAB.example.org"], NOW) == []
    (finding,) = about_given(wild, ["a.lab.example.org", "10.0.0.7", "example.org"], NOW)
    assert "not for a.lab.example.org, 10.0.0.7, example.org" in finding


def test_a_chain_leads_to_its_ca_through_the_intermediate(
    files: dict[str, str], tmp_path: Path, key: Key, ca_key: Key
) -> None:
    middle = ec.generate_private_key(ec.SECP256R1())
    own, between = issue(key, NAMES, ("middle", middle)), issue(middle, [], ("ca", ca_key), "middle")
    whole = write(tmp_path / "whole.crt", own, between)
    assert about_given(given(files, certificate=whole), NAMES, NOW) == []
    (finding,) = about_given(given(files, certificate=write(tmp_path / "half.crt", own)), NAMES, NOW)
    assert "add the intermediate certificates" in finding


def test_what_python_s_clients_refuse_is_refused_before_them(
    files: dict[str, str], tmp_path: Path, key: Key, ca_key: Key
) -> None:
    bare = {
        "ca": issue(ca_key, [], ("ca", ca_key), "ca", bare=True),
        "certificate": issue(key, NAMES, ("ca", ca_key), bare=True),
    }
    for kind, said in (("ca", "key usage"), ("certificate", "Authority Key Identifier")):
        (finding,) = about_given(given(files, **{kind: write(tmp_path / "bare.crt", bare[kind])}), NAMES, NOW)
        assert "is refused by Python's clients" in finding and said.lower() in finding.lower() and " -> " in finding


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        ("certificate", None, "cannot be read: No such file"),
        ("certificate", b"x", "holds no certificate in PEM"),
        ("private_key", b"x", "holds no private key in PEM"),
        ("private_key", "locked", "has a passphrase"),
        ("ca", b"", "holds no certificate in PEM"),
        ("ca", "unset", "platform_tls_ca is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(
    files: dict[str, str], tmp_path: Path, key: Key, kind: str, content: bytes | str | None, said: str
) -> None:
    path = tmp_path / "wrong"
    if content == "locked":
        locked = serialization.BestAvailableEncryption(b"pass")
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    elif isinstance(content, bytes):
        path.write_bytes(content)
    (finding,) = about_given(given(files, **{kind: "" if content == "unset" else str(path)}), NAMES, NOW)
    assert f"platform_tls_{kind}" in finding and said in finding and " -> " in finding


def test_the_platform_s_certificate_is_renewed_within_30_days_of_its_end(files: dict[str, str]) -> None:
    assert about_own(files, NAMES, NOW + datetime.timedelta(days=59)) is None
    assert "it ends on" in str(about_own(files, NAMES, NOW + datetime.timedelta(days=61)))


def test_it_is_renewed_when_names_key_or_ca_have_changed(files: dict[str, str], tmp_path: Path) -> None:
    assert about_own(files, [*NAMES, "new.example.org"], NOW) == "the host is called otherwise now"
    other = ec.generate_private_key(ec.SECP256R1())
    assert about_own({**files, "private_key": write(tmp_path / "o.key", other)}, NAMES, NOW) == "its key does not match"
    another = write(tmp_path / "o.crt", issue(other, [], ("ca", other), "ca", last=3650))
    assert about_own({**files, "ca": another}, NAMES, NOW) == "the CA is another one now"
    assert about_own({**files, "certificate": str(tmp_path / "none")}, NAMES, NOW) == "there is none"


def test_a_ca_without_its_key_or_near_its_end_is_made_anew(files: dict[str, str], tmp_path: Path) -> None:
    assert about_ca({**files, "ca_key": str(tmp_path / "none")}, NOW) == "there is none"
    assert about_ca({**files, "ca_key": files["private_key"]}, NOW) == "its key does not match"
    assert "it ends on" in str(about_ca(files, NOW + datetime.timedelta(days=3640)))


def test_a_request_knows_names_from_addresses() -> None:
    assert alternative_names(["Lab.example.org", "10.0.0.7", "::1"]) == ["DNS:lab.example.org", "IP:10.0.0.7", "IP:::1"]
