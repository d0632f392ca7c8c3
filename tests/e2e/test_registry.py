"""Images by way of the site's registry: pushed once, pulled by digest, refused with the reason."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.e2e.conftest import NAME, ROOT, changed, play
from tests.e2e.hosts import Host

pytest_plugins = ["tests.e2e.hosts", "tests.e2e.registry"]

# Role images as provision runs it, on a host that is one of several.
PLAY = {
    "name": "Have images",
    "hosts": "all",
    "gather_facts": False,
    "become": True,
    "roles": ["platform"],
    "tasks": [
        {
            "name": "Look at the host",
            "preflight": {
                "platform_name": "{{ platform_name }}",
                "platform_dir": "{{ platform_dir }}",
                "services": "{{ _platform_services }}",
                "volumes": "{{ _platform_volumes }}",
                "judge": False,
            },
            "register": "__preflight",
        },
        {"name": "Have images", "ansible.builtin.import_role": {"name": "images"}},
    ],
}


def settings(registry: SimpleNamespace, **other: object) -> list[str]:
    """Return what a site says of its registry."""
    values = {"": registry.address, "_user": registry.user, "_password": registry.password, "_ca": str(registry.ca)}
    return ["-e", json.dumps({f"platform_image_registry{key}": value for key, value in (values | other).items()})]


@pytest.fixture(scope="module")
def pushed(site, registry) -> Iterator[SimpleNamespace]:
    """What the first and the second push said, and the digests."""
    first = play("push", site.inventory, *settings(registry))
    second = play("push", site.inventory, *settings(registry))
    digests = site.credentials.with_name("digests.json")
    yield SimpleNamespace(first=first.stdout, second=second.stdout, digests=digests)
    shutil.rmtree(f"/etc/docker/certs.d/{registry.address}")


@pytest.fixture(scope="module")
def database(hosts) -> Host:
    """A host that has an engine and no image."""
    return hosts.make("database")


@pytest.fixture
def pull(hosts, database: Host, registry, pushed, tmp_path: Path):
    """Run role images on the database's host, with other settings if given; return what became of it."""
    playbook = ROOT / f"ansible/{tmp_path.name}.yml"
    playbook.write_text(yaml.safe_dump([PLAY], sort_keys=False))
    elsewhere = database._replace(name="elsewhere")
    groups = {group: [elsewhere] for group in ("object_store", "tracking", "compute")}
    inventory = hosts.inventory(
        {"database": [database], **groups}, platform_name=NAME, platform_credentials_dir=tmp_path
    )
    shutil.copy(pushed.digests, tmp_path)

    def run(check: bool = True, **other: object):
        options = ["--limit", "database", "-e", "platform_image_source=registry", *settings(registry, **other)]
        return play(playbook.stem, inventory, *options, check=check)

    yield run
    playbook.unlink()


def images(host: Host) -> set[str]:
    """Return the images of ours that a host has."""
    said = host.run("docker images --format '{{.Repository}}:{{.Tag}}' --filter 'reference=platform/*'", user="root")
    return set(said.stdout.split())


def test_a_second_push_changes_nothing_and_says_so(pushed, registry) -> None:
    assert changed(pushed.first) > 0 and "now has" in pushed.first
    assert changed(pushed.second) == 0 and "had all of" in pushed.second
    digests = json.loads(pushed.digests.read_text())
    assert {name.split("/")[1].split(":")[0] for name in digests} == {"postgres", "minio", "mlflow", "gateway", "job"}
    kept = Path("~/.docker/config.json").expanduser()
    assert not kept.exists() or registry.address not in kept.read_text()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"_ca": ""}, "a CA this host does not know"),
        ({"_password": "wrong"}, "refuses the login"),
        ({"": "127.0.0.1:1"}, "does not answer"),
    ],
)
def test_a_refused_pull_says_why_and_loads_nothing(pull, database: Host, other: dict[str, str], said: str) -> None:
    done = pull(check=False, **other)
    assert done.returncode != 0 and said in " ".join(done.stdout.split()), done.stdout
    assert images(database) == set()


def test_a_digest_that_the_registry_does_not_have_is_refused(pull, database: Host, tmp_path: Path) -> None:
    digests = tmp_path / "digests.json"
    digests.write_text(json.dumps({name: f"sha256:{'0' * 64}" for name in json.loads(digests.read_text())}))
    done = pull(check=False)
    assert done.returncode != 0 and "make push" in done.stdout
    assert images(database) == set()


def test_a_host_pulls_by_digest_what_its_groups_need_and_keeps_no_login(pull, database: Host, registry, pushed) -> None:
    assert changed(pull().stdout) > 0
    (image,) = images(database)
    assert image.startswith("platform/postgres:")
    shown = database.run(f"docker image inspect --format '{{{{json .RepoDigests}}}}' {image}", user="root").stdout
    assert json.loads(shown) == [
        f"{registry.address}/platform/postgres@{json.loads(pushed.digests.read_text())[image]}"
    ]
    left = database.run("cat /root/.docker/config.json /tmp/*.docker/* /var/tmp/*.docker/*", check=False, user="root")
    assert registry.address not in left.stdout
    assert changed(pull().stdout) == 0
