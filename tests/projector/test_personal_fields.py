"""Personal fields on their way into a read model, and a vault that is away."""

from uuid import UUID, uuid4

from query_service.projector.checkpoints import Unit
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from tests.support.cluster import Vault
from tests.support.read_side import KEK, ReadSide, eventually, has_reason, pool_of
from tests.support.tallies import REGISTRY, TallyOpened, TallySigned

TALLIES = Unit("tallies", "blue")


async def sign(side: ReadSide, vault: Vault, tally: UUID) -> None:
    """An event that only the vault can open."""
    stream, version, person = f"tallies-{tally}", side.history.version(f"tallies-{tally}") + 1, uuid4()
    async with pool_of(vault.writer_url, 1) as pool:
        key = await KeyVault(pool, KEK).make_key("default", str(person))
    event = TallySigned(tally_id=tally, person=person, signature="Grace H.")
    payload = PayloadCodec(REGISTRY).encode(event, tenant="default", stream=stream, version=version, key=key)
    side.history.append_bytes(stream, TallySigned.TOPIC, payload)


async def signed_without_being_opened(side: ReadSide, vault: Vault) -> str:
    """A stream that parks, and that nobody can try again without the vault."""
    tally = uuid4()
    await sign(side, vault, tally)
    return f"tallies-{tally}"


async def test_personal_fields_are_opened_with_the_keys_of_the_vault(side: ReadSide, vault_database: Vault) -> None:
    tally = uuid4()
    side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally))
    await sign(side, vault_database, tally)
    await side.publish()
    async with side.projector():
        await side.caught_up()
    ((details,),) = await side.rows("SELECT details FROM blue.tallies")
    assert details["signature"] == "Grace H."
    assert b"Grace" not in b"".join(row.payload for row in side.history.rows)


async def test_vault_that_is_away_delays_and_parks_nothing(side: ReadSide, vault_database: Vault) -> None:
    tally = uuid4()
    side.history.append(f"tallies-{tally}", TallyOpened(tally_id=tally))
    await sign(side, vault_database, tally)
    await side.publish()
    genuine = side.vault
    assert isinstance(genuine, KeyVault)
    side.vault = KeyVault(genuine._pool, Kek(1, {1: bytes(range(1, 33))}))
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "vault"), "the vault is reported")
        assert await side.positions(TALLIES) == [0] * 8
    side.vault = genuine
    async with side.projector():
        await side.caught_up()
    assert await side.rows("SELECT details ->> 'signature' FROM blue.tallies") == [("Grace H.",)]
