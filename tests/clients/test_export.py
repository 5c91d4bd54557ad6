"""A table for analysts, read by DuckDB, is what the lines of the same export say."""

import json
import os
import subprocess
import sys

import pytest
from actors import remove, replace
from server_process import binary

duckdb = pytest.importorskip("duckdb")
COLUMNS = (
    "pool, identity, dataset, key, value, sync_count, epoch_ms(modified), modified_by, "
    "epoch_ms(device_modified)"
)


def export(server, *arguments, check=True):
    command = [binary(), "export", "--data", str(server.data), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=check, cwd=server.directory)


@pytest.fixture
def exported(server, developer):
    """A server that was stopped, the id of one of two pools, and the rows of the lines of all."""
    if "needs a program with the feature" in export(server, "--format", "parquet", check=False).stderr:
        pytest.skip("the program writes no tables")
    pools = [developer.pool(), developer.pool()]
    for number in range(6):
        guest = developer.guest(pools[number % 2])
        for name in ("game", "other"):
            dataset = guest.dataset(name)
            dataset.update([replace("k", f"é\n\0'\"{number}"), replace("e", "")])
            dataset.update([replace("gone", "v"), replace("large", "x" * 300_000)])
            dataset.update([remove("gone", 2)], DeviceId="phone")
            dataset.update([replace("k", "again", 1)], DeviceId="phone")
    assert server.stop() == 0
    rows = []
    for line in map(json.loads, export(server).stdout.splitlines()):
        for record in line.get("records", []) if line["type"] == "dataset" else []:
            if "value" in record:
                place = (line["pool"], line["identity"], line["dataset"])
                times = (record["modified"], record.get("modified_by"), record["device_modified"])
                rows.append((*place, record["key"], record["value"], record["sync_count"], *times))
    return server, pools[0], rows


def table(path, what=COLUMNS):
    with duckdb.connect() as database:
        return database.execute(f"select {what} from read_parquet(?)", [str(path)]).fetchall()


def test_a_table_has_every_record_of_the_lines(exported, tmp_path):
    server, pool, rows = exported
    assert len(rows) == 36 and {"phone", None} == {row[7] for row in rows}
    path = tmp_path / "all.parquet"
    said = json.loads(export(server, "--format", "parquet", "--out", str(path), "--json").stdout)
    assert (said["records"], said["datasets"], said["identities"]) == (36, 12, 6)
    assert sorted(table(path), key=str) == sorted(rows, key=str)
    assert table(path, "typeof(modified), typeof(sync_count)")[0] == (
        "TIMESTAMP WITH TIME ZONE", "BIGINT",
    )
    assert path.stat().st_mode & 0o777 == 0o600
    # One pool; to stdout it is the same.
    one = tmp_path / "one.parquet"
    export(server, "--format", "parquet", "--pool", pool, "--out", str(one))
    assert sorted(table(one), key=str) == sorted((r for r in rows if r[0] == pool), key=str)
    with open(tmp_path / "piped", "wb") as piped:
        command = [binary(), "export", "--data", str(server.data), "--format", "parquet"]
        subprocess.run(command, stdout=piped, stderr=subprocess.DEVNULL, check=True)
    assert (tmp_path / "piped").read_bytes() == path.read_bytes()


# A process begins with the peak of the one that began it: this one is small.
PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_bytes(server, *arguments):
    """The most memory that an export had."""
    command = [binary(), "export", "--data", str(server.data), "--format", "parquet", *arguments]
    measured = [sys.executable, "-c", PEAK, *command]
    return int(subprocess.run(measured, capture_output=True, check=True).stdout) * 1024


def test_memory_does_not_follow_the_number_of_records(server, developer, tmp_path):
    pools = [developer.pool(), developer.pool()]
    guests = [developer.guest(pools[number % 2]) for number in range(4)]
    for number in range(72):
        value = os.urandom(500_000).hex()
        guests[number % 4].dataset(f"d{number}").update([replace("k", value)])
    assert server.stop() == 0
    path = tmp_path / "large.parquet"
    failed = export(server, "--format", "parquet", "--out", str(path), check=False)
    if "needs a program with the feature" in failed.stderr:
        pytest.skip("the program writes no tables")
    # 72 MB in groups of 32 MiB.
    with duckdb.connect() as database:
        groups = database.execute(
            "select distinct row_group_id, row_group_num_rows from parquet_metadata(?) order by 1",
            [str(path)],
        ).fetchall()
    assert [rows for _, rows in groups] == [34, 34, 4]
    assert table(path, "count(*), sum(length(value))") == [(72, 72_000_000)]
    # One pool fills a group, too; 36 MB more take no more of them.
    one, both = peak_bytes(server, "--pool", pools[0]), peak_bytes(server)
    assert both < one + 18_000_000, f"{one} bytes for one pool, {both} for both"


def test_what_cannot_be_is_refused(exported, tmp_path):
    server, _, _ = exported
    path = tmp_path / "t"
    refused = export(server, "--format", "parquet", "--out", str(path), "--resume", check=False)
    assert refused.returncode == 1 and "leave --resume out" in refused.stderr
    (tmp_path / "t.partial").touch()
    refused = export(server, "--format", "parquet", "--out", str(path), check=False)
    assert refused.returncode == 1 and "take it away" in refused.stderr
    path.touch()
    refused = export(server, "--format", "parquet", "--out", str(path), check=False)
    assert "exists; take it away" in refused.stderr
