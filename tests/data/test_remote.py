"""Remote stores: a real S3 server and a web server on this machine, and lines that break."""

from __future__ import annotations

import functools
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import csv as pacsv

from lossctl.data import remote
from lossctl.errors import Exit, UsageError

boto3 = pytest.importorskip("boto3")
moto = pytest.importorskip("moto.server")
pytest.importorskip("aiohttp")
pytest.importorskip("requests")

SCRIPT = Path(sys.executable).parent / "lossctl"
SECRET = "s3cr3t/of+nobody"  # noqa: S105 - of a server that knows no other
ROWS = 40_000
RNG = np.random.default_rng(3)
TABLE = pa.table(
    {
        "prediction": RNG.normal(size=ROWS),
        "target": RNG.normal(size=ROWS),
        "region": np.array(["eu", "us"])[np.arange(ROWS) % 2],
    }
)
Environment = dict[str, str]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def as_csv(table: pa.Table) -> bytes:
    """Write a table as CSV."""
    sink = pa.BufferOutputStream()
    pacsv.write_csv(table, sink)
    return bytes(sink.getvalue())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the files that the servers hold."""
    folder = tmp_path_factory.mktemp("files")
    for name, table in (("eu", TABLE.slice(0, 15_000)), ("us", TABLE.slice(15_000))):
        (folder / f"tree/region={name}").mkdir(parents=True)
        part = table.drop(["region"])
        pq.write_table(part, folder / f"tree/region={name}/part-0.parquet", row_group_size=4000)
    (folder / "parts").mkdir()
    for number in range(3):
        start, stop = number * 15_000, min(ROWS, (number + 1) * 15_000)
        part = TABLE.slice(start, stop - start)
        (folder / f"parts/part-{number}.csv").write_bytes(as_csv(part))
    pq.write_table(TABLE, folder / "whole.parquet", row_group_size=5000)
    (folder / "whole.csv").write_bytes(as_csv(TABLE))
    return folder


@pytest.fixture(scope="module")
def endpoint(files: Path) -> Iterator[str]:
    """Run an S3 server that holds the files in the bucket ``data``."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="someone",
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="data")
    for path in files.rglob("*"):
        if path.is_file():
            client.upload_file(str(path), "data", path.relative_to(files).as_posix())
    client.put_object(Bucket="data", Key="parts/_SUCCESS", Body=b"")
    yield url
    server.stop()


def environment(url: str) -> Environment:
    """Give the variables by which S3's own tools find a server and who asks."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def run(endpoint: str) -> Run:
    """Run the installed command; whatever it says, it says no secret."""

    def call(*arguments: str, url: str = endpoint) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(SCRIPT), "eval", *arguments],
            capture_output=True,
            text=True,
            env=environment(url),
            timeout=120,
            check=False,
        )
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode != Exit.BUG, done.stderr
        return done

    return call


def results(done: subprocess.CompletedProcess[str]) -> Any:
    """Give the results of a report."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["results"]


EVAL = "-l", "mse,mae", "-f", "json"


@pytest.mark.parametrize(
    "argument",
    ["whole.parquet", "whole.csv", "parts", "parts/*.csv", "*/part-?.csv", "parts/**"],
)
def test_an_object_store_gives_the_numbers_of_the_disk(
    run: Run, files: Path, argument: str
) -> None:
    expected = results(run(str(files / "whole.parquet"), *EVAL))
    assert results(run(f"s3://data/{argument}", *EVAL)) == expected


def test_partitions_of_an_object_store_are_columns(run: Run, files: Path) -> None:
    options = *EVAL, "--by", "region"
    expected = results(run(str(files / "tree"), *options))
    assert results(run("s3://data/tree", *options)) == expected
    assert results(run("s3://data/tree/region=*/*.parquet", *options)) == expected
    assert expected[2]["slice"] == {"region": "eu"}


def test_a_remote_and_a_local_file_pair(run: Run, files: Path) -> None:
    local = str(files / "whole.csv")
    paired = results(run("s3://data/whole.parquet", local, *EVAL))
    assert paired == results(run(local, *EVAL))


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("s3://data/none.csv", "error: s3://data/none.csv: no such file"),
        ("s3://nowhere/none.csv", "error: s3://nowhere/none.csv: no such file"),
        ("s3://data/none-*.csv", "error: s3://data/none-*.csv: no file matches"),
        ("s3://data/none/", "error: s3://data/none/: no such file"),
        (f"s3://me:{SECRET.replace('/', '%2F')}@data/none.csv", "error: s3://data/none.csv: no"),
    ],
)
def test_what_is_not_there_is_named(run: Run, argument: str, message: str) -> None:
    done = run(argument, "-l", "mse")
    assert done.returncode == Exit.UNMEASURABLE
    assert message in done.stderr
    assert SECRET.replace("/", "%2F") not in done.stderr


class Cutting:
    """A line to a server that breaks for good after some bytes of answers."""

    def __init__(self, url: str, after: int) -> None:
        """Listen on a port of this machine."""
        host, port = url.removeprefix("http://").split(":")
        self.server, self.left = (host, int(port)), after
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(self.server) as far:
            back = threading.Thread(target=self._carry, args=(far, near), kwargs={"answers": True})
            back.start()
            self._carry(near, far, answers=False)
            back.join()

    def _carry(self, source: socket.socket, target: socket.socket, *, answers: bool) -> None:
        try:
            while data := source.recv(4096):
                if answers:
                    self.left -= len(data)
                    if self.left < 0:
                        self.cut = True
                        break
                target.sendall(data)
        except OSError:
            pass
        for each in (source, target):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@pytest.mark.parametrize(
    "name",
    [
        "whole.parquet",
        # Each waits for every repetition that Arrow's client makes.
        pytest.param("whole.csv", marks=pytest.mark.slow),
        pytest.param("parts", marks=pytest.mark.slow),
    ],
)
def test_a_line_that_breaks_in_the_middle_is_an_error_and_leaves_nothing(
    run: Run, endpoint: str, tmp_path: Path, name: str
) -> None:
    """Not the numbers of the rows that did come."""
    line = Cutting(endpoint, after=300_000)
    out = tmp_path / "out.json"
    done = run(f"s3://data/{name}", *EVAL, "-o", str(out), url=line.url)
    line.listener.close()
    assert line.cut
    assert (done.returncode, done.stdout) == (Exit.UNMEASURABLE, "")
    assert list(tmp_path.iterdir()) == []
    error = json.loads(done.stderr)
    assert error["place"]["file"].startswith(f"s3://data/{name}")
    assert "a lost connection" in error["hint"]


def test_a_line_that_holds_gives_the_numbers(run: Run, endpoint: str, files: Path) -> None:
    """So it is the cut that the test above sees, and not the line."""
    line = Cutting(endpoint, after=1 << 40)
    found = results(run("s3://data/whole.csv", *EVAL, url=line.url))
    line.listener.close()
    assert found == results(run(str(files / "whole.csv"), *EVAL))


# The web ------------------------------------------------------------------------------------------


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A web server that gives files whole only, and some of them not to their end."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Break off in the middle of what is asked for with ``cut``."""
        if "cut" not in self.path:
            super().do_GET()
            return
        data = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])
        self.close_connection = True


@pytest.fixture(scope="module")
def web(files: Path) -> Iterator[str]:
    """Serve the files."""
    handler = functools.partial(Quiet, directory=str(files))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("name", ["whole.parquet", "whole.csv"])
def test_a_file_of_the_web_gives_the_numbers_of_the_disk(
    run: Run, web: str, files: Path, name: str
) -> None:
    done = run(f"{web}/{name}", *EVAL)
    assert results(done) == results(run(str(files / name), *EVAL))
    assert json.loads(done.stdout)["run"]["inputs"][0]["path"] == f"{web}/{name}"


@pytest.mark.parametrize("name", ["none.csv", "whole.csv?cut=1&token=s3cr3t"])
def test_the_web_is_not_trusted_either(run: Run, web: str, tmp_path: Path, name: str) -> None:
    """What is missing or breaks off is an error, which shows no token."""
    done = run(f"{web}/{name}", *EVAL, "-o", str(tmp_path / "out.json"))
    assert (done.returncode, done.stdout) == (Exit.UNMEASURABLE, "")
    assert list(tmp_path.iterdir()) == []
    assert "s3cr3t" not in done.stderr
    assert json.loads(done.stderr)["place"]["file"] == f"{web}/{name.partition('?')[0]}"


def test_a_server_that_is_not_there_is_named(run: Run) -> None:
    for url in ("http://127.0.0.1:1/x.csv", "nosuch://host/x.csv"):
        done = run(url, "-l", "mse")
        assert done.returncode in (Exit.UNMEASURABLE, Exit.USAGE)
        assert "127.0.0.1:1/x.csv" in done.stderr or "nosuch://" in done.stderr


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://bucket/a b/*.csv", "s3://bucket/a b/*.csv"),
        ("s3://key:secret@bucket/x.csv", "s3://bucket/x.csv"),
        ("https://u:p@host:8/x.csv?sig=1&a=2", "https://host:8/x.csv"),
        ("s3://bucket/part-?.csv", "s3://bucket/part-?.csv"),
    ],
)
def test_only_host_and_path_are_shown(location: str, expected: str) -> None:
    assert remote.shown(location) == expected


def test_azure_needs_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(UsageError, match="AZURE_STORAGE_ACCOUNT_NAME"):
        remote.look("az://container/x.csv")


def test_file_systems_are_imported_for_urls_only(files: Path) -> None:
    """A local file is measured without them."""
    ask = (
        "import sys\nfrom lossctl.cli.main import main\n"
        f"main(['eval', {str(files / 'parts/*.csv')!r}, '-l', 'mse', '-f', 'value'])\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "lossctl.data.many" in loaded
    assert not loaded & {"pyarrow.fs", "pyarrow.dataset", "fsspec", "lossctl.data.remote"}
