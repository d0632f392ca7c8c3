"""Rows of docs/security.md that only a whole platform can show: ports, database, containers, files, who is who."""

import json
import re
import stat
import subprocess

import pytest
from cryptography import x509

from tests.e2e.conftest import ROOT, job
from tests.e2e.hosts import wait
from tests.e2e.network.conftest import PORTS, Network

UIDS = {"postgres": 10001, "minio": 10002, "mlflow": 10003, "gateway": 10004}
NO_CAPABILITIES = "0000000000000000"
CONNECT = """
import sys, psycopg
print(psycopg.connect(sys.stdin.read(), autocommit=True).execute(sys.argv[1]).fetchall())
"""


def test_nothing_listens_but_ssh_and_the_documented_ports(network: Network) -> None:
    listening = network.root("cat /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6")
    sockets = re.findall(r"^ *\d+: ([0-9A-F]+):([0-9A-F]{4}) \S+ (0A|07) ", listening, re.MULTILINE)
    outside = {int(port, 16) for address, port, _ in sockets if address not in ("0100007F", "0B00007F")}
    assert outside == {22, *PORTS.values()}


def psql(network: Network, login: str, query: str = "SELECT 1") -> str:
    """Return what the database says to a login from the platform's network, or why it turns it away."""
    python = (
        f"docker run --rm --interactive --network {network.name}-network --volume {network.directory}/ca.crt:/ca.crt"
    )
    image = network.root(f"docker inspect --format '{{{{.Config.Image}}}}' {network.name}-mlflow-1").strip()
    passwords = {"mlflow": "mlflow_database_password", "postgres": "postgres_password"}
    user = login.split("user=")[1].split()[0]
    text = f"host=postgres {login} password={network.secrets[passwords[user]]}"
    return network.root(f"echo '{text}' | {python} {image} python3 -c '{CONNECT}' \"{query}\" 2>&1", check=False)


@pytest.mark.parametrize(
    ("login", "said"),
    [
        ("user=mlflow dbname=mlflow sslmode=verify-full sslrootcert=/ca.crt", "[(1,)]"),
        ("user=mlflow dbname=mlflow sslmode=disable", "pg_hba.conf rejects"),
        ("user=mlflow dbname=postgres sslmode=require", "pg_hba.conf rejects"),
        ("user=mlflow dbname=template1 sslmode=require", "pg_hba.conf rejects"),
        ("user=postgres dbname=mlflow sslmode=require", "pg_hba.conf rejects"),
        ("user=postgres dbname=postgres sslmode=require", "pg_hba.conf rejects"),
    ],
)
def test_the_database_lets_in_one_user_to_one_database_over_tls(network: Network, login: str, said: str) -> None:
    assert said in psql(network, login)


def test_the_database_s_user_owns_its_database_and_nothing_else(network: Network) -> None:
    login = "user=mlflow dbname=mlflow sslmode=require"
    may = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls FROM pg_roles WHERE rolname = user"
    assert psql(network, login, may) == "[(False, False, False, False, False)]\n"
    assert "permission denied" in psql(network, login, "SELECT rolpassword FROM pg_authid")
    for forbidden in ("CREATE ROLE mallory", "CREATE DATABASE of_mallory", "ALTER SYSTEM SET ssl = off"):
        assert re.search("permission denied|must be owner", psql(network, login, forbidden)), forbidden
    assert "permission denied" in psql(network, login, "COPY pg_class TO PROGRAM 'id'")


def test_the_database_s_superuser_comes_in_inside_its_container_with_its_password(network: Network) -> None:
    inside = f"docker exec --env PGPASSWORD {network.name}-postgres-1 psql --host=/tmp --username=postgres"
    ask = f"{inside} -Atc 'SELECT rolsuper FROM pg_roles WHERE rolname = user'"
    assert network.root(f"PGPASSWORD={network.secrets['postgres_password']} {ask}") == "t\n"
    assert "password authentication failed" in network.root(f"PGPASSWORD=guess {ask} 2>&1", check=False)


def status_of(network: Network, pid: str) -> dict[str, str]:
    """Return what the kernel says of a process of the host."""
    lines = network.root(f"cat /proc/{pid}/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize("service", UIDS)
def test_no_process_of_a_container_is_root_or_holds_a_capability(network: Network, service: str) -> None:
    container = f"{network.name}-{service}-1"
    pids = network.root(f"docker inspect --format '{{{{.State.Pid}}}}' {container}").split()
    pids += network.root(f"pgrep --parent {pids[0]}").split()
    assert len(pids) > 1
    for process in (status_of(network, pid) for pid in pids):
        assert set(process["Uid"].split() + process["Gid"].split()) == {str(UIDS[service])}, process
        assert {process[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NO_CAPABILITIES}
        assert process["NoNewPrivs"] == "1"


@pytest.mark.parametrize("service", UIDS)
def test_a_container_writes_only_its_volume_and_its_tmpfs(network: Network, service: str) -> None:
    (shown,) = json.loads(network.root(f"docker inspect {network.name}-{service}-1"))
    host = shown["HostConfig"]
    assert host["ReadonlyRootfs"] and host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
    assert "no-new-privileges:true" in host["SecurityOpt"] and host["Memory"] > 0 and host["PidsLimit"] > 0
    assert not host["PidMode"] and host["IpcMode"] == "private" and host["NetworkMode"] == f"{network.name}-network"
    writable = {mount["Destination"] for mount in shown["Mounts"] if mount["RW"] and mount["Type"] == "bind"}
    assert writable == set()
    assert "/var/run/docker.sock" not in json.dumps(shown)


def test_a_job_is_nobody_and_reaches_nothing_of_the_host(network: Network) -> None:
    find = "docker ps --quiet --filter label=platform.job --filter label=platform.name=" + network.name
    command = job("train", network.connection, "--n-estimators", "3000", "--cv", "0")
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as training:
        wait(lambda: network.root(find) != "", "no job runs")
        (shown,) = json.loads(network.root(f"docker inspect $({find})"))
        process = status_of(network, str(shown["State"]["Pid"]))
        training.terminate()
    assert shown["Config"]["User"] == "10005:10005" and process["Uid"].split() == ["10005"] * 4
    assert process["CapEff"] == process["CapBnd"] == NO_CAPABILITIES and process["NoNewPrivs"] == "1"
    assert shown["HostConfig"]["ReadonlyRootfs"] and not shown["HostConfig"]["Binds"]
    assert [(mount["Type"], mount["Destination"]) for mount in shown["Mounts"]] == [("volume", "/job")]


def test_ansible_s_python_on_the_host_is_as_powerless_as_a_service(network: Network) -> None:
    status = network.root(f"{network.directory}/bin/platform-python -c 'print(open(\"/proc/self/status\").read())'")
    assert "Uid:\t10003" in status and f"CapEff:\t{NO_CAPABILITIES}" in status and "NoNewPrivs:\t1" in status
    written = network.root(f'{network.directory}/bin/platform-python -c \'open("/x", "w")\' 2>&1', check=False)
    assert "Read-only file system" in written


FILES = {
    "": "755 0",
    ".env": "644 0",
    "compose.yml": "644 0",
    "bin/platform-python": "755 0",
    "secrets": "711 0",
    "secrets/postgres_password": "400 10001",
    "secrets/mlflow_database_password": "400 10001",
    "secrets/minio_root_user": "400 10002",
    "secrets/minio_root_password": "400 10002",
    "secrets/mlflow_env": "400 10003",
    "secrets/mlflow_auth": "400 10003",
    "gateway/tls/tls.key": "400 10004",
    "postgres/tls/tls.key": "400 10001",
    "gateway/tls/tls.crt": "444 10004",
    "ca.crt": "444 0",
}


def test_every_secret_file_on_the_host_is_its_container_s_alone(network: Network) -> None:
    found = network.root(f"find {network.directory} -printf '%P %m %U\\n'")
    modes = dict(line.split(" ", 1) for line in found.splitlines())
    assert {name: modes.get(name) for name in FILES} == FILES
    kept = {name for name, mode in modes.items() if mode.startswith("4") and mode.split()[0] == "400"}
    assert kept == {name for name, mode in FILES.items() if mode.startswith("400 ")}
    assert not [name for name, mode in modes.items() if int(mode.split()[0], 8) & 0o022]


def test_a_user_of_the_host_without_sudo_reads_no_secret_and_starts_no_container(network: Network) -> None:
    where = network.directory
    secrets = f"{where}/secrets/mlflow_env {where}/gateway/tls/tls.key"
    seen = network.host.run(f"cat {secrets}", check=False, user="guest")
    assert seen.stdout == "" and seen.stderr.count("Permission denied") == 2
    for forbidden in (f"ls {where}/secrets", f"echo > {where}/.env", "ls /var/lib/docker/volumes"):
        assert "Permission denied" in network.host.run(forbidden, check=False, user="guest").stderr, forbidden
    assert network.host.run("docker ps", check=False, user="guest").returncode != 0


def test_who_provisions_with_sudo_is_in_the_engine_s_group_and_nobody_else(network: Network) -> None:
    assert network.root("getent group docker").strip().split(":")[3] == "operator"
    assert network.host.run("docker ps --quiet").stdout.split()


def test_the_controller_s_files_are_their_owner_s_alone(network: Network) -> None:
    found = {path.relative_to(network.credentials): path.stat() for path in network.credentials.rglob("*")}
    modes = {str(name): oct(stat.S_IMODE(state.st_mode)) for name, state in found.items()}
    assert stat.S_IMODE(network.credentials.stat().st_mode) == 0o700
    public = {"ca.crt", "job-ca.crt", f"tls/{network.host.name}.crt"}
    assert modes == {name: "0o644" if name in public else "0o700" if name == "tls" else "0o600" for name in modes}
    assert {"secrets.yml", "ca.key", "job-login.ini", "platform.json", f"tls/{network.host.name}.key"} <= set(modes)


def test_the_ca_s_key_stays_on_the_controller_and_a_host_signs_nothing(network: Network) -> None:
    (line,) = (network.credentials / "ca.key").read_text().splitlines()[1:2]
    places = f"{network.directory} /etc /home /root /tmp /var/tmp"
    assert network.root(f"grep -rlF {line} {places}", check=False) == ""
    leaf = x509.load_pem_x509_certificate((network.credentials / f"tls/{network.host.name}.crt").read_bytes())
    ca = x509.load_pem_x509_certificate((network.credentials / "ca.crt").read_bytes())
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical and constraints.value.ca and constraints.value.path_length == 0


def test_whoever_holds_the_secrets_is_mlflow_s_admin(network: Network) -> None:
    login = ("admin", network.secrets["mlflow_admin_password"])
    user = network.call("mlflow", "GET", "/api/2.0/mlflow/users/get?username=maker", auth=login)
    assert user.status_code == 200 and user.json()["user"]["username"] == "maker"


def test_a_job_s_login_is_the_service_account_s(network: Network) -> None:
    login = (network.credentials / "job-login.ini").read_text()
    assert "mlflow_tracking_username = jobs" in login and network.password("jobs") in login
    assert [key for key in network.leaks(login) if key != "mlflow_jobs_password"] == []
