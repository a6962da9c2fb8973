"""The page about logs: every line that can be written stands there, and nothing is written anywhere else."""

import ast
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from tests.security.reading import ROOT, rows, section, sources, text_of
from tests.support.cluster import Database, Vault
from tests.support.command_process import command_process, variables_of

LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
PAGE = text_of("logs.md")
TOLD = {cells[0].strip("`"): cells[1:] for cells in rows(section(PAGE, "Lines"))}
COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
QUIET = ("log_error_verbosity=terse", "log_min_error_statement=panic")


def lines_of(source: str) -> Iterator[str]:
    """What the log calls of a module say."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant):
            said, called = call.args[0].value, ast.unparse(call.func)
            speaks = called.rpartition(".")[2] in LEVELS and re.search(r"log(ger\(.*\))?\.\w+$", called)
            if isinstance(said, str) and (called == "say" or speaks):
                yield said


@pytest.mark.asvs("V16.1.1")
def test_inventory_names_every_line_that_can_be_written() -> None:
    said = {line for path, source in sources().items() for line in lines_of(source) if not path.startswith("deploy/")}
    assert said == TOLD.keys()
    assert all(process and level and what for process, level, _, what in TOLD.values())


@pytest.mark.asvs("V16.1.1")
def test_inventory_tells_where_how_long_and_for_whom() -> None:
    lines = [line for line in section(PAGE, "Where").splitlines() if line.startswith("|")]
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert head == ["layer", "who writes", "where to", "form", "how long it is kept", "who reads it", "used for"]
    hardened = COMPOSE.partition("x-hardened: &hardened\n")[2].partition("\n\n")[0]
    assert 'logging: {driver: json-file, options: {max-size: 20m, max-file: "5"}}' in hardened
    services = COMPOSE.partition("\nservices:\n")[2].partition("\nnetworks:\n")[0]
    (_, *each) = re.split(r"^  (?=[a-z]+:)", services, flags=re.MULTILINE)
    assert len(each) >= 9
    assert all(re.search(r"<<: \*(hardened|twinlog|process)$", service, re.MULTILINE) for service in each)
    assert "5 files of 20 MB for each container" in PAGE


@pytest.mark.asvs("V16.2.5")
def test_databases_log_neither_statements_nor_details() -> None:
    engines = (ROOT / "deploy/local/engines.py").read_text(encoding="utf-8")
    for setting in QUIET:
        name, _, value = setting.partition("=")
        assert f"-c, {setting}" in COMPOSE
        assert f'"{name}": "{value}"' in engines
        assert f"`{setting}`" in PAGE


def written_by(pid: int) -> set[str]:
    """The regular files that a process has open for writing."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # connections come and go meanwhile
            flags = int(re.findall(r"flags:\s+(\d+)", Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text())[0], 8)
            if stat.S_ISREG(entry.stat().st_mode) and flags & (os.O_WRONLY | os.O_RDWR):
                found.add(str(entry.readlink()))
    return found


@pytest.mark.asvs("V16.2.3")
def test_process_writes_its_lines_to_stderr_and_to_no_file(command_database: Database, vault_database: Vault) -> None:
    with command_process(variables_of(command_database, vault_database, TWINLOG_LOG_LEVEL="debug")) as running:
        with httpx2.Client(base_url=running.url) as http:
            body = {"email": "ada@example.com", "password": "winter-otter-plays-chess", "name": "Ada"}
            assert http.post("/v1/users", json=body).status_code == 201
            assert http.post("/v1/users", content=b"{", headers={"Content-Type": "text/plain"}).status_code == 415
            assert http.get("/v1/nothing").status_code == 404
        assert written_by(running.process.pid) == set()
        assert running.stop() == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == ""
    own = {line["event"] for line in running.log if "logger" not in line}
    assert {"listening", "request"} <= own <= TOLD.keys()


@pytest.mark.asvs("V16.2.3")
def test_no_module_of_the_services_opens_a_log_of_its_own() -> None:
    for path, source in sources().items():
        if not path.startswith("deploy/"):
            assert not re.search(r"FileHandler|SysLogHandler|SocketHandler|HTTPHandler|basicConfig", source), path
