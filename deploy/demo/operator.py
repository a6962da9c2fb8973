"""The operator's hands in the story: the same `twinlog` commands that a person types, as child processes."""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


class OperatorCommandFailed(Exception):
    """A `twinlog` command of the story did not succeed."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Runs `twinlog <words> --json` against the stack in `data`, or against the one that the environment names."""

    data: Path | None

    async def run(self, *words: str, given: str = "") -> dict[str, Any]:
        """The command's answer. Raises OperatorCommandFailed with what the command said."""
        environment = dict(os.environ)
        if self.data is not None:
            environment["TWINLOG_DATA"] = str(self.data)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "deploy.cli", *words, "--json"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            said, complained = await process.communicate(given.encode())
        except asyncio.CancelledError:  # Ctrl-C: the terminal told the child too, and nobody waits for its answer
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode != 0:
            reason = (complained or said).decode(errors="replace").strip()[-600:]
            raise OperatorCommandFailed(f"`twinlog {' '.join(words)}` ended with {process.returncode}: {reason}")
        answer: dict[str, Any] = orjson.loads(said.strip().splitlines()[-1])
        return answer

    async def create_tenant(self, slug: str) -> None:
        await self.run("tenants", "create", slug)

    async def create_admin(self, tenant: str, email: str, password: str) -> None:
        await self.run(
            *("users", "create-admin", "--tenant", tenant, "--email", email, "--password-stdin"), given=password
        )

    async def rebuild(self) -> dict[str, Any]:
        """Build every read model anew from the log, beside the live ones."""
        return await self.run("projections", "rebuild", "--all")

    async def diff(self) -> dict[str, Any]:
        """Compare the new read models with the live ones, row by row, at the same positions."""
        return await self.run("projections", "diff", "--all")
