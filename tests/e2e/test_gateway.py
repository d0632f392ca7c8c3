"""The gateway on a network it does not trust: TLS, forged requests, guessed passwords, new certificates."""

import functools
import socket
import ssl
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.e2e.conftest import changed
from tests.e2e.gateway_alone import ARTIFACTS, Gateway
from tests.e2e.host_images import docker
from tests.e2e.hosts import wait

NGINX_WORKERS = 2
SERVICES = ("mlflow", "s3", "console")
API = "/api/2.0/mlflow/experiments/search"


def s3_login(key: str) -> dict[str, str]:
    """Return the header with which a client of S3 says who it is."""
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/s3/aws4_request, Signature=0"}


def test_a_dry_run_foretells_the_certificates_and_writes_none(gateway: Gateway) -> None:
    assert "the CA (there is none) and the certificate of localhost" in " ".join(gateway.foretold.split())
    assert gateway.left == [] and changed(gateway.first) > 0


def test_a_second_run_makes_nothing(gateway: Gateway) -> None:
    assert changed(gateway.provision("--check")) == 0
    assert changed(gateway.provision()) == 0


def test_keys_are_their_owner_s_alone(gateway: Gateway) -> None:
    for path in ("credentials/ca.key", "credentials/tls/localhost.key"):
        assert stat.S_IMODE((gateway.directory / path).stat().st_mode) == 0o600
    key = (gateway.directory / "host/gateway/tls/tls.key").stat()
    assert stat.S_IMODE(key.st_mode) == 0o400 and key.st_uid == 10004


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_tls_is_refused(gateway: Gateway, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError, match="alert protocol version"):
        ssl_connect(gateway, context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_new_tls_is_served_with_forward_secrecy_and_http2(gateway: Gateway, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=gateway.ca)
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    cipher, protocol = ssl_connect(gateway, context)
    assert cipher.startswith(("ECDHE-", "TLS_")) and protocol == "h2"


def ssl_connect(gateway: Gateway, context: ssl.SSLContext) -> tuple[str, str | None]:
    """Return the cipher and the protocol of a new connection to MLflow's port."""
    with (
        socket.create_connection(("127.0.0.1", gateway.ports["mlflow"]), timeout=20) as plain,
        context.wrap_socket(plain, server_hostname="lab.example.org") as connection,
    ):
        return str(connection.cipher()[0]), connection.selected_alpn_protocol()  # type: ignore[index]


@pytest.mark.parametrize("service", SERVICES)
def test_every_answer_asks_for_https_and_names_no_software(gateway: Gateway, service: str) -> None:
    for path in ("/", "/a/../../b", "/%2e%2e/%2e%2e/etc/passwd"):
        answer = gateway.ask("GET", service, path)
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "Server" not in answer.headers
    assert gateway.ask("GET", service, "/").json()["headers"]["X-Forwarded-Proto"] == "https"
    assert "; secure" in gateway.ask("GET", service, "/").headers["Set-Cookie"].lower()


@pytest.mark.parametrize("service", SERVICES)
def test_plain_http_is_sent_to_https_and_a_password_on_it_is_not(gateway: Gateway, service: str) -> None:
    address = f"http://localhost:{gateway.ports[service]}/a?b=c"
    answer = requests.post(address, data="x", allow_redirects=False, timeout=20)
    assert answer.status_code == 308 and answer.headers["Location"] == address.replace("http:", "https:")
    answer = requests.get(address, auth=("me", "secret"), allow_redirects=False, timeout=20)
    assert answer.status_code == 400 and "https only" in answer.text


@pytest.mark.parametrize("service", SERVICES)
def test_a_forged_host_is_refused(gateway: Gateway, service: str) -> None:
    for name, status in (("evil.example", 421), ("lab.example.org.evil.example", 421), ("lab.example.org:5000", 200)):
        assert gateway.ask("GET", service, "/", headers={"Host": name}).status_code == status
    plain = requests.get(
        f"http://127.0.0.1:{gateway.ports[service]}/",
        headers={"Host": "evil.example"},
        allow_redirects=False,
        timeout=20,
    )
    assert plain.status_code == 421 and "Location" not in plain.headers


@pytest.mark.parametrize("service", ["mlflow", "console"])
def test_a_page_of_another_origin_is_refused(gateway: Gateway, service: str) -> None:
    for origin, status in (
        ("https://evil.example", 403),
        ("https://localhost.evil.example", 403),
        ("http://localhost", 403),
        ("null", 403),
        (f"https://localhost:{gateway.ports[service]}", 200),
    ):
        assert gateway.ask("POST", service, "/", headers={"Origin": origin}).status_code == status, origin


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"a" * 70000 + b"\r\n\r\n", "431"),
        (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"),
        (b"NO REQUEST\r\n\r\n", "400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", "400"),
        (b"GET / HTTP/1.0\r\n\r\n", "421"),
    ],
)
def test_what_is_no_request_gets_a_clear_answer(gateway: Gateway, request_text: bytes, status: str) -> None:
    for tls in (True, False):
        answer = gateway.raw(request_text, tls)
        assert answer.split()[1] == status and "nginx" not in answer


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("climb", ["..", "%2e%2e", ".%2E", "%2e."])
@pytest.mark.parametrize("separator", ["/", "%2f", "\\", "%5C"])
def test_a_path_that_climbs_reaches_nobody(gateway: Gateway, service: str, climb: str, separator: str) -> None:
    port, path = gateway.ports[service], f"/static-files/a{separator}{climb}{separator}{climb}{separator}etc/passwd"
    prepared = requests.Request("GET", f"https://localhost:{port}/").prepare()
    prepared.url = f"https://localhost:{port}{path}"
    with requests.Session() as session:
        assert session.send(prepared, verify=gateway.ca, timeout=20).status_code == 400
    assert gateway.ask("GET", service, "/a..b/c...d").status_code == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/minio/admin/v3/info", "403"),
        ("//minio/admin/v3/info", "403"),
        ("/./minio/admin/v3/info", "403"),
        ("/%6dinio%2Fadmin/v3/info", "403"),
        ("/minio/health/%2e/../admin/v3/info", "400"),
        ("/minio/metrics/v3/api", "403"),
        ("/minio/health/ready", "200"),
        ("/a/minio/admin", "200"),
    ],
)
def test_minio_s_administration_is_not_for_the_network(gateway: Gateway, path: str, status: str) -> None:
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    assert gateway.raw(request.encode(), service="s3").split()[1] == status


def test_guessing_a_password_is_slowed_for_that_user_alone(forgetful: Gateway) -> None:
    tries = [forgetful.ask("GET", "mlflow", API, auth=("ada", f"guess{n}")) for n in range(12)]
    assert [answer.status_code for answer in tries] == [401] * 10 + [429] * 2
    assert tries[-1].headers["Retry-After"] == "120" and "failed logins" in tries[-1].json()["message"]
    assert forgetful.ask("GET", "mlflow", API, auth=("ada", "right")).status_code == 429
    assert forgetful.ask("GET", "mlflow", API, auth=("bob", "right")).status_code == 200
    assert forgetful.ask("GET", "mlflow", API).status_code == 401


def test_a_right_password_is_forgiven_its_wrong_ones_but_a_page_for_everybody_forgives_nothing(
    forgetful: Gateway,
) -> None:
    for _ in range(2):
        for n in range(9):
            assert forgetful.ask("GET", "mlflow", API, auth=("ada", f"guess{n}")).status_code == 401
        assert forgetful.ask("GET", "mlflow", API, auth=("ada", "right")).status_code == 200
    for n in range(10):
        assert forgetful.ask("GET", "mlflow", API, auth=("ada", f"guess{n}")).status_code == 401
        assert forgetful.ask("GET", "mlflow", "/health", auth=("ada", "x")).status_code in (200, 429)
    assert forgetful.ask("GET", "mlflow", API, auth=("ada", "guess")).status_code == 429


def test_guessing_many_users_is_slowed_for_the_address(forgetful: Gateway) -> None:
    seen = [forgetful.ask("GET", "mlflow", API, auth=(f"user{n}", "guess")).status_code for n in range(52)]
    assert seen == [401] * 50 + [429] * 2
    assert forgetful.ask("GET", "mlflow", "/").status_code == 200


@pytest.mark.parametrize("key", ["stranger", "guesser"])
def test_guessing_a_key_of_s3_is_slowed(forgetful: Gateway, key: str) -> None:
    seen = [forgetful.ask("GET", "s3", "/mlflow", headers=s3_login(key)).status_code for _ in range(12)]
    assert seen == [403] * 10 + [429] * 2


def test_what_a_key_of_s3_may_not_do_is_no_failed_login(forgetful: Gateway) -> None:
    assert {forgetful.ask("GET", "s3", "/x", headers=s3_login("modest")).status_code for _ in range(15)} == {403}


def test_guessing_the_console_s_password_is_slowed(forgetful: Gateway) -> None:
    def login(secret: str) -> int:
        return forgetful.ask("POST", "console", "/api/v1/login", json={"secretKey": secret}).status_code

    assert login("right") == 204
    assert [login("guess") for _ in range(11)] == [401] * 10 + [429]
    assert login("right") == 429
    assert forgetful.ask("GET", "console", "/").status_code == 200


def answers(ask: Callable[[], requests.Response]) -> bool:
    """Return whether what is asked is answered."""
    return ask().status_code == 200


def test_connections_to_mlflow_are_kept_and_it_is_found_again_at_another_address(gateway: Gateway) -> None:
    """A connection of its own for each request would cost MLflow a tenth more."""

    def address(service: str) -> str:
        found = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        (container,) = gateway.compose("ps", "--quiet", service).split()
        return docker("inspect", "--format", found, container)

    asked = [gateway.ask("GET", "mlflow", "/some/page").json() for _ in range(8)]
    assert len({tuple(answer["connection"]) for answer in asked}) <= NGINX_WORKERS
    before = address("mlflow")
    gateway.compose("stop", "--timeout", "2", "mlflow")
    for path in ("/some/page", f"{ARTIFACTS}/1/file"):
        assert gateway.ask("GET", "mlflow", path).status_code == 503
    gateway.compose("up", "--detach", "squatter")
    assert address("squatter") == before
    try:
        gateway.compose("start", "mlflow")
        assert address("mlflow") != before
        for path in ("/some/page", "/some/artifact"):
            ask = functools.partial(gateway.ask, "GET", "mlflow", path)
            wait(functools.partial(answers, ask), "MLflow is not found again", 15)
            assert ask().json()["host"] == asked[0]["host"]
    finally:
        gateway.compose("rm", "--stop", "--force", "squatter")


def test_a_new_certificate_takes_over_without_a_failed_request(gateway: Gateway) -> None:
    before, started = gateway.serial(), gateway.compose("ps", "--format", "{{.ID}} {{.CreatedAt}}")
    stop, done, failures = threading.Event(), [0], []

    def client() -> None:
        while not stop.is_set():
            try:
                gateway.ask("GET", "mlflow", "/").raise_for_status()
                done[0] += 1
            except requests.RequestException as error:
                failures.append(error)

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        Path(gateway.directory / "credentials/tls/localhost.crt").unlink()
        said = gateway.provision()
    finally:
        stop.set()
        for thread in clients:
            thread.join()
    assert "Let the servers read their new certificate" in said
    assert gateway.serial() != before
    assert failures == [] and done[0] > 10
    assert gateway.compose("ps", "--format", "{{.ID}} {{.CreatedAt}}") == started


def test_a_lost_ca_is_made_anew_and_signs_again(gateway: Gateway) -> None:
    old = Path(gateway.ca).read_bytes()
    (gateway.directory / "credentials/ca.key").unlink()
    assert "Make the CA" in gateway.provision()
    assert Path(gateway.ca).read_bytes() != old
    assert gateway.ask("GET", "mlflow", "/").status_code == 200
