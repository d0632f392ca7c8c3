"""The bundle: what is packed comes out again, and nothing else does."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest
from module_utils.bundle_file import BundleError, extract, pack, verify
from plays import results

IMAGES = {"platform/job:1-aa": ["sha256:1", "sha256:2"]}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of two small members."""
    parts = tmp_path / "parts"
    (parts / "wheels").mkdir(parents=True)
    (parts / "images.tar.gz").write_bytes(b"images" * 1000)
    (parts / "wheels/a.whl").write_bytes(b"wheel")
    file = tmp_path / "dist/platform.tar"
    pack(parts, file, IMAGES)
    return file


def place(bundle: Path, name: str) -> int:
    """Return where in the file the content of a member begins."""
    with tarfile.open(bundle) as tar:
        return tar.getmember(name).offset_data


def overwrite(bundle: Path, name: str, content: bytes) -> None:
    """Write over the beginning of a member's content."""
    where = place(bundle, name)
    with open(bundle, "r+b") as stream:
        stream.seek(where)
        stream.write(content)


def test_what_is_packed_is_what_is_verified_and_extracted(bundle: Path, tmp_path: Path) -> None:
    manifest = verify(bundle)
    assert manifest["images"] == IMAGES
    assert manifest["members"]["wheels/a.whl"] == hashlib.sha256(b"wheel").hexdigest()
    extract(bundle, "wheels/a.whl", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"wheel"


def test_the_checksum_beside_it_is_the_bundle_s_and_nothing_unfinished_stays(bundle: Path) -> None:
    said = bundle.with_name("platform.tar.sha256").read_text()
    assert said == f"{hashlib.sha256(bundle.read_bytes()).hexdigest()}  platform.tar\n"
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["platform.tar", "platform.tar.sha256"]


@pytest.mark.parametrize("name", ["images.tar.gz", "wheels/a.whl"])
def test_a_damaged_member_is_named_and_not_extracted(bundle: Path, tmp_path: Path, name: str) -> None:
    overwrite(bundle, name, b"evil")
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        verify(bundle)
    with pytest.raises(BundleError, match=f"{name} is damaged"):
        extract(bundle, name, tmp_path / "out")


def test_a_member_too_many_and_one_too_few_are_named(bundle: Path) -> None:
    with tarfile.open(bundle, "a") as tar:
        tar.addfile(tarfile.TarInfo("wheels/b.whl"), io.BytesIO(b""))
    with pytest.raises(BundleError, match=r"wheels/b\.whl is not in the manifest"):
        verify(bundle)
    with open(bundle, "r+b") as stream:
        stream.truncate(place(bundle, "wheels/a.whl") - 512)
    with pytest.raises(BundleError, match=r"wheels/a\.whl is missing"):
        verify(bundle)


@pytest.mark.parametrize("content", [b"", b"not a tar file", b"{}" * 1000])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.tar").write_bytes(content)
    with pytest.raises(BundleError, match="bundle"):
        verify(tmp_path / "file.tar")


def test_a_member_is_copied_to_the_host_whole(bundle: Path, tmp_path: Path) -> None:
    copy = {"file": str(bundle), "member": "wheels/a.whl", "dest": str(tmp_path / "there")}
    copied, absent = results(tmp_path, [{"bundle": copy}, {"bundle": {**copy, "member": "none"}}])
    assert copied["changed"] and (tmp_path / "there").read_bytes() == b"wheel"
    assert absent["failed"] and "no member none" in absent["msg"]
