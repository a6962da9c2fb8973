"""Ended sessions are denied by every process of the command service, whenever it was started, or nobody gets in."""

import httpx2

from tests.features.sessions.test_refresh import form, signed_in, status_with
from tests.support.cluster import Database, Vault
from tests.support.command_side import CommandSide, command_side_of
from tests.support.waiting import eventually


async def revoke(side: CommandSide, token: str) -> httpx2.Response:
    return await side.http.post("/v1/token/revoke", data={"token": token})


async def test_every_process_hears_of_an_end_and_a_new_one_knows(
    command_side: CommandSide, command_database: Database, vault_database: Vault
) -> None:
    token = await signed_in(command_side)
    access = token["access_token"]
    async with command_side_of(command_database, vault_database) as other:
        assert await status_with(other, access) == 201
        await revoke(command_side, token["refresh_token"])
        assert await status_with(command_side, access) == 401

        async def refused() -> bool:
            return await status_with(other, access) == 401

        await eventually(refused, "the other process to refuse")
    async with command_side_of(command_database, vault_database) as started_later:
        assert await status_with(started_later, access) == 401


async def test_news_that_no_notification_brought_comes_by_the_poll(
    command_side: CommandSide, command_database: Database, vault_database: Vault
) -> None:
    token = await signed_in(command_side)
    async with command_side_of(command_database, vault_database) as other:
        other.services.denials._notifier = Silent()
        await revoke(other, token["refresh_token"])

        async def refused() -> bool:
            return await status_with(command_side, token["access_token"]) == 401

        await eventually(refused, "the poll")


class Silent:
    """Notifies nobody."""

    async def notify(self, channel: str) -> None:
        """The news is lost."""


async def test_who_cannot_know_lets_nobody_in_and_recovers(command_side: CommandSide) -> None:
    token = await signed_in(command_side)
    denials = command_side.services.denials
    await denials.stop()
    denials.known._known_at = float("-inf")
    assert await status_with(command_side, token["access_token"]) == 503
    await denials.start()
    assert await status_with(command_side, token["access_token"]) == 201


async def test_cut_connection_is_made_anew(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = (await command_side.sign_in(form(ada))).json()
    connection = command_side.services.denials._connection
    assert connection is not None
    url = command_side.database.app_url
    await command_side.rows_of(url, "SELECT pg_terminate_backend(%s) AS cut", connection.info.backend_pid)
    await eventually(lambda: command_side.services.denials._connection is not connection, "a new connection")
    await revoke(command_side, token["refresh_token"])
    assert await status_with(command_side, token["access_token"]) == 401


async def test_log_that_was_restored_to_an_older_point_is_read_from_its_beginning(command_side: CommandSide) -> None:
    ada = await command_side.register()
    token = (await command_side.sign_in(form(ada))).json()
    denials = command_side.services.denials
    denials._position = 10**9  # what the log was before it forgot
    connection = denials._connection
    assert connection is not None
    url = command_side.database.app_url
    await command_side.rows_of(url, "SELECT pg_terminate_backend(%s) AS cut", connection.info.backend_pid)
    await eventually(lambda: denials._connection is not connection, "a new connection")
    await revoke(command_side, token["refresh_token"])
    assert await status_with(command_side, token["access_token"]) == 401
