"""Where images come from: what preflight has to say of it, and what a registry's refusals mean."""

import importlib
from pathlib import Path
from typing import Any

import pytest
from module_utils.image_findings import about_images

registry_error = importlib.import_module("filter.registry_errors").registry_error
ORIGIN = {"registry": "", "user": "", "has_password": False, "ca": "", "digests": "/none", "bundle": ""}


def choices(source: str = "build", images: dict[str, str] | None = None, **origin: Any) -> dict[str, Any]:
    """Return a site's choices about images."""
    return {"image_source": source, "images": images or {}, "image_origin": {**ORIGIN, **origin}}


@pytest.mark.parametrize(
    "image",
    [
        "minio/minio",
        "minio/minio:latest",
        "docker.io/minio/mc@sha256:aa",
        "quay.io/minio/minio:x",
        "bitnami/postgresql:17",
        "docker.io/bitnami/minio",
        "index.docker.io/minio/minio",
    ],
)
def test_a_dead_image_is_refused_with_the_reason(image: str) -> None:
    (finding,) = about_images(choices(images={"platform_x_image": image}))
    assert "platform_x_image" in finding and "withdrew" in finding


def test_living_images_are_not_refused() -> None:
    images = {"a": "docker.io/pgsty/silo@sha256:aa", "b": "registry.local/minio-base:1"}
    assert about_images(choices(images=images)) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (choices("pull"), "'pull'. -> Make it `build`, `registry` or `archive`"),
        (choices("registry"), "Set platform_image_registry"),
        (choices("registry", registry="r.local"), "There is no /none, which names what the registry has"),
        (choices("archive"), "none is named. -> Make a bundle (make bundle)"),
        (choices("archive", bundle="/no/file.tar"), "no file /no/file.tar"),
        (choices(registry="https://r.local"), "Leave out https://"),
        (choices(registry="quay.io/minio"), "withdrew"),
        (choices(registry="docker.io/bitnami"), "withdrew"),
        (choices(registry="r.local", user="me"), "Set platform_image_registry_password"),
        (choices(registry="r.local", ca="/no/ca.crt"), "/no/ca.crt, which is no file here"),
    ],
)
def test_a_source_that_lacks_something_is_named_with_its_fix(wrong: dict[str, Any], said: str) -> None:
    (finding,) = about_images(wrong)
    assert said in finding and " -> " in finding


def test_a_whole_source_is_fine(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    login: dict[str, Any] = {"registry": "r.local:5000/a", "user": "me", "has_password": True}
    assert about_images(choices("registry", ca=str(file), digests=str(file), **login)) == []
    assert about_images(choices("archive", bundle=str(file))) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("x509: certificate signed by unknown authority", "platform_image_registry_ca"),
        ("unauthorized: authentication required", "platform_image_registry_password"),
        ("no basic auth credentials", "platform_image_registry_password"),
        ("manifest unknown: manifest unknown", "make push"),
        ("dial tcp 127.0.0.1:5000: connect: connection refused", "does not answer"),
        ("http: server gave HTTP response to HTTPS client", "plain HTTP"),
        ("", "the engine did not say why"),
    ],
)
def test_a_refusal_of_the_registry_is_explained_with_its_fix(words: str, said: str) -> None:
    text = registry_error(f"Trying.\n{words}\n" if words else "", "r.local")
    assert "r.local" in text and said in text and words in text
