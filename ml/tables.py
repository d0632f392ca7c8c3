"""Read tables from files and check them, so that a bad file ends in one clear sentence and never in a wrong model."""

from __future__ import annotations

import csv
import difflib
import errno
import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

CHUNK_ROWS = 100_000
CHUNK_BYTES = 32 << 20  # of a CSV file; in memory a chunk is a few times that
OUTPUT_SUFFIXES = (".csv", ".csv.gz", ".parquet")


class InputError(Exception):
    """What the user gave cannot be used; the text says what, where, and how to mend it."""


def check_file(path: Path) -> None:
    """Raise InputError unless `path` is a file with something in it that can be read."""
    if path.is_dir():
        raise InputError(f"{path} is a directory: name one CSV or Parquet file in it")
    if not path.exists():
        folder = path.parent if path.parent.is_dir() else Path()
        close = difflib.get_close_matches(path.name, [entry.name for entry in folder.iterdir() if entry.is_file()], n=1)
        hint = f"; did you mean {folder / close[0]}?" if close else ": check the name"
        raise InputError(f"no file {path}{hint}")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read: chmod +r {path}")
    if path.stat().st_size == 0:
        raise InputError(f"{path.name} is empty: it needs a header line and rows")


def magic(path: Path) -> bytes:
    """The first four bytes of the file."""
    with path.open("rb") as file:
        return file.read(4)


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unzipped where they are gzipped, whatever it is called."""
    return gzip.open(path, "rb") if magic(path)[:2] == b"\x1f\x8b" else path.open("rb")  # type: ignore[return-value]


def csv_header(path: Path) -> list[str]:
    """The column names of a CSV file; InputError when it has none, or is not comma-separated UTF-8."""
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        names = next((row for row in csv.reader(text) if row), [])
    if not names:
        raise InputError(f"{path.name} is empty: it needs a header line and rows")
    for sign, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
        if len(names) == 1 and names[0].count(sign):
            raise InputError(
                f"{path.name} is separated by {called}: save it with commas, for example\n"
                f'  python3 -c "import csv,sys; csv.writer(sys.stdout).writerows('
                f'csv.reader(sys.stdin,delimiter={sign!r}))" < {path.name} > commas.csv'
            )
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(f"{path.name} has more than one column {quoted(double)}: rename or remove one")
    return names


def rows_at_once(path: Path, most: int) -> int:
    """How many rows of the CSV file fit into CHUNK_BYTES, judged by its beginning: at least one, at most `most`."""
    with open_bytes(path) as raw:
        beginning = raw.read(1 << 20)
    return max(1, min(most, CHUNK_BYTES * beginning.count(b"\n") // max(1, len(beginning))))


def csv_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The CSV file as frames of at most `rows` rows, fewer of long ones, so that memory does not grow with the file."""
    import pandas as pd

    csv_header(path)
    rows = rows_at_once(path, rows)
    with open_bytes(path) as raw:
        yield from pd.read_csv(raw, encoding="utf-8-sig", chunksize=rows, low_memory=False, index_col=False)


def parquet_chunks(path: Path, rows: int) -> Iterator[pd.DataFrame]:
    """The Parquet file as frames: of at most `rows` rows by pyarrow, of its own row groups by fastparquet."""
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        import fastparquet

        yield from fastparquet.ParquetFile(str(path)).iter_row_groups()
        return
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=rows):
        yield batch.to_pandas()


def chunks(path: Path, rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
    """The file's rows in frames, CSV or Parquet, gzipped or not; their index counts rows from 0 through the file.

    Raises InputError for a file that is missing, empty, not UTF-8, not comma-separated, damaged or without rows.
    """
    check_file(path)
    is_parquet = magic(path) == b"PAR1"
    if not is_parquet and path.name.endswith(".parquet"):
        raise InputError(f"{path.name} is not a Parquet file: name it .csv if it is one, or write it anew")
    total = 0
    try:
        for frame in parquet_chunks(path, rows) if is_parquet else csv_chunks(path, rows):
            frame.index = range(total, total + len(frame))  # type: ignore[assignment]
            total += len(frame)
            if len(frame):
                yield frame
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path.name} is not UTF-8 (byte 0x{error.object[error.start]:02x}): "
            f"iconv -f LATIN1 -t UTF-8 {path.name} > utf8.csv"
        ) from error
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise InputError(f"{path.name} is a damaged gzip file ({error}): copy it anew") from error
    except (ValueError, csv.Error) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        kind = "Parquet" if is_parquet else "CSV"
        raise InputError(f"{path.name} is not a readable {kind} file, write it anew: {reason}") from error
    if not total:
        raise InputError(f"{path.name} has a header and no rows: add rows")


def quoted(names: Iterable[object]) -> str:
    """Names in a sentence: 'a', 'b'."""
    return ", ".join(f"'{name}'" for name in names)


def plain(name: str) -> str:
    """A column's name without case, blanks, signs and units, for finding a renamed one."""
    return "".join(filter(str.isalnum, name.split("(")[0].lower()))


def close_name(name: str, among: Sequence[str]) -> str | None:
    """The name in `among` that `name` was probably meant to be, or None."""
    by_plain = {plain(other): other for other in among}
    close = difflib.get_close_matches(plain(name), list(by_plain), n=1)
    return by_plain[close[0]] if close else None


def check_columns(found: Sequence[str], wanted: Sequence[str], source: str) -> list[str]:
    """The columns of `found` that nobody wants; InputError when one that is wanted is missing."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    if missing:
        said = [
            f"'{name}'" + (f" (renamed? '{close}' is there)" if (close := close_name(name, extra)) else "")
            for name in missing
        ]
        raise InputError(
            f"{source} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(said)}: "
            f"add or rename, the model was trained on {quoted(wanted)}"
        )
    return extra


def as_numbers(values: pd.Series, source: str, kind: str = "float64") -> pd.Series:
    """The column as `kind` (a NumPy type); InputError names row (from 1) and column of what is no finite number."""
    import numpy as np
    import pandas as pd

    where = f"{source}, column '{values.name}'"
    numbers: Any = pd.to_numeric(values, errors="coerce")
    if not pd.api.types.is_numeric_dtype(numbers):
        raise InputError(f"{where} holds {values.dtype}, and numbers are needed: convert or drop it")
    numbers = numbers.astype("float64") if kind.startswith(("float", "int")) else numbers
    bad = ~np.isfinite(numbers.to_numpy(dtype="float64", na_value=np.nan))
    if bad.any():
        at = int(bad.argmax(axis=0))
        row, value = int(values.index[at]) + 1, values.iloc[at]
        if pd.isna(value):
            raise InputError(f"{where}, row {row}: no value (NaN): fill it in or drop the row")
        if isinstance(value, str):
            raise InputError(f"{where}, row {row}: '{value[:40]}' is not a number: correct it, or drop the column")
        raise InputError(f"{where}, row {row}: {value} is not finite: correct it or drop the row")
    if kind.startswith("int"):
        broken = (numbers % 1 != 0).to_numpy()
        if broken.any():
            at = int(broken.argmax(axis=0))
            raise InputError(
                f"{where}, row {int(values.index[at]) + 1}: {numbers.iloc[at]} is not a whole number: "
                "the model takes whole numbers here"
            )
    return numbers.astype(kind)


def check_target(frame: pd.DataFrame, target: str, source: str) -> None:
    """Raise InputError unless column `target` is there, complete, and has two classes or more with two rows or more."""
    if target not in frame.columns:
        close = close_name(target, [str(name) for name in frame.columns])
        raise InputError(
            f"{source} has no target column '{target}': --target {close or 'NAME'}, one of {quoted(frame.columns)}"
        )
    absent = frame[target].isna().to_numpy()
    if absent.any():
        row = int(absent.argmax(axis=0)) + 1
        raise InputError(f"{source}, column '{target}', row {row}: no class (NaN): drop the row")
    counts = frame[target].value_counts()
    if len(counts) < 2:
        raise InputError(
            f"{source}, column '{target}' has one class only ({counts.index[0]!r}): a classifier needs two or more"
        )
    if counts.min() < 2:
        raise InputError(
            f"{source}, column '{target}': class {counts.index[-1]!r} has one row only: add rows of it, drop it, or, "
            "if these are numbers to be predicted, name a column of classes with --target"
        )


def check_output(path: Path) -> None:
    """Raise InputError unless a file called `path` can be written here."""
    if path.is_dir():
        raise InputError(f"{path} is a directory: name a file, for example {path / 'predictions.csv'}")
    if not path.name.endswith(OUTPUT_SUFFIXES):
        raise InputError(f"{path.name}: the name must end in one of {', '.join(OUTPUT_SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"no directory {path.parent}: mkdir -p {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path.parent} may not be written to: choose another --output")


def write_csv(frames: Iterable[pd.DataFrame], file: BinaryIO, zipped: bool) -> None:
    """Write the frames to the open file as one CSV."""
    packed: Any = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, filename="") if zipped else file
    for number, frame in enumerate(frames):
        frame.to_csv(packed, index=False, header=number == 0)
    if zipped:
        packed.close()


def write_parquet(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the frames to `path` as one Parquet file, a row group a frame."""
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        import fastparquet

        for number, frame in enumerate(frames):
            fastparquet.write(str(path), frame.reset_index(drop=True), append=number > 0, compression="GZIP")
        return
    writer = None
    try:
        for frame in frames:
            table = arrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer:
            writer.close()


def atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a file beside `path`, then put it in its place; on any failure leave `path` as it was.

    Raises InputError when there is no space left.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    part = Path(name)
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o666 & ~umask)
        part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise InputError(
                f"no space left in {path.parent.absolute()} for {path.name}: free some or choose another --output"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def write(frames: Iterable[pd.DataFrame], path: Path) -> None:
    """Write the frames to `path`, whole or not at all, in the format its name says."""

    def fill(part: Path) -> None:
        if path.name.endswith(".parquet"):
            write_parquet(frames, part)
            return
        with part.open("wb") as file:
            write_csv(frames, file, zipped=path.name.endswith(".gz"))

    atomically(path, fill)
