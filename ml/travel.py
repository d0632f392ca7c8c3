"""How files reach a job container and come back: tar streams, and arguments rewritten to where the files are there."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

JOB_UID = 10005
PIECE_BYTES = 1 << 20
INPUTS = ("--data", "--input")
OUTPUT = "--output"
DEFAULT_OUTPUT = Path("predictions.csv")


class JobError(Exception):
    """A job cannot be started or its result not be kept; the text says what, where, and how to mend it."""


def with_separate_values(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--data=FILE` written as `--data FILE`, for the options that name files."""
    apart: list[str] = []
    for argument in arguments:
        option, sign, value = argument.partition("=")
        apart += [option, value] if sign and option in (*INPUTS, OUTPUT) else [argument]
    return apart


def check_input(path: Path) -> None:
    """Raise JobError unless `path` is a file that can be read."""
    if path.is_dir():
        raise JobError(f"{path} is a directory: name one CSV or Parquet file in it")
    if not path.is_file():
        raise JobError(f"no file {path}: check the name (it is looked for in {Path.cwd()})")
    if not os.access(path, os.R_OK):
        raise JobError(f"{path} may not be read: chmod +r {path}")


def check_output(path: Path) -> None:
    """Raise JobError unless a file called `path` can be written."""
    if path.is_dir():
        raise JobError(f"{path} is a directory: name a file, for example {path / DEFAULT_OUTPUT.name}")
    if not path.parent.is_dir():
        raise JobError(f"no directory {path.parent}: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise JobError(f"{path.parent} may not be written to: choose another --output")


def rewrite(verb: str, arguments: Sequence[str]) -> tuple[list[str], dict[str, Path], Path | None]:
    """The script's arguments as they read inside the container, what travels in, and where the result goes here.

    Returns (arguments, {path under /job: local file}, local output or None). Raises JobError for files that are
    not there.
    """
    inside = with_separate_values(arguments)
    travelling: dict[str, Path] = {}
    output = DEFAULT_OUTPUT if verb == "predict" and not {"-h", "--help"} & set(inside) else None
    output_at: int | None = None
    for at, option in enumerate(inside[:-1]):
        value = Path(inside[at + 1])
        if option in INPUTS:
            check_input(value)
            travelling[f"in/{value.name}"] = value
            inside[at + 1] = f"/job/in/{value.name}"
        elif option == OUTPUT and verb == "predict":
            output, output_at = value, at + 1
    if output is None:
        return inside, travelling, None
    check_output(output)
    if output_at is None:
        inside += [OUTPUT, f"/job/out/{output.name}"]
    else:
        inside[output_at] = f"/job/out/{output.name}"
    return inside, travelling, output


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """The tar header of a member that belongs to the job's user; `size` in bytes."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    member.uid = member.gid = JOB_UID
    member.mode = 0o700 if kind == tarfile.DIRTYPE else 0o600
    return member.tobuf(tarfile.PAX_FORMAT)


def pack(files: dict[str, Path]) -> Iterator[bytes]:
    """A tar stream of the directories code, in, out, home, the files' own, and the files, read piece by piece.

    Raises JobError when a file shrinks while it is read.
    """
    parents = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    for folder in sorted({"code", "in", "out", "home"} | parents):
        yield header(folder, 0, tarfile.DIRTYPE)
    for name, path in files.items():
        with path.open("rb") as file:
            left = size = os.fstat(file.fileno()).st_size
            yield header(name, size)
            while left:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise JobError(f"{path} shrank while it was read: try again when nothing writes to it")
                left -= len(piece)
                yield piece
        yield b"\0" * (-size % tarfile.BLOCKSIZE)
    yield b"\0" * 2 * tarfile.BLOCKSIZE


class Pieces(io.RawIOBase):
    """An iterator of bytes as a readable file, which is what tarfile takes."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def unpack(pieces: Iterable[bytes], path: Path) -> None:
    """Write the one file in the tar stream to `path`, whole or not at all.

    Raises JobError when the stream breaks off or there is no space left.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        stream: Any = io.BufferedReader(Pieces(pieces))  # type: ignore[type-var]
        with os.fdopen(handle, "wb") as target, tarfile.open(fileobj=stream, mode="r|") as tar:
            member = tar.next()
            source = tar.extractfile(member) if member else None
            if member is None or source is None:
                raise JobError(f"the job left no file for {path}: see its messages above")
            while piece := source.read(PIECE_BYTES):
                target.write(piece)
            target.flush()
            os.fsync(target.fileno())
            if target.tell() != member.size:
                raise JobError(f"the result for {path} broke off on its way back: try again")
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    except (OSError, tarfile.TarError) as error:
        raise JobError(f"{path} cannot be written ({error}): free space or choose another --output") from error
    finally:
        part.unlink(missing_ok=True)
