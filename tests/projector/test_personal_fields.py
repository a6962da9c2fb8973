"""Personal fields on their way into a read model, and a vault that is away."""

from uuid import uuid4

from query_service.projector.checkpoints import Unit
from shared_kernel.privacy.kek import Kek
from shared_kernel.privacy.payload import PayloadCodec
from shared_kernel.privacy.vault import KeyVault
from tests.support.cluster import Vault
from tests.support.read_side import KEK, ReadSide, eventually, has_reason, pool_of
from tests.support.tallies import REGISTRY, TallyOpened, TallySigned

TALLIES = Unit("tallies", "blue")


async def test_personal_fields_are_opened_with_the_keys_of_the_vault(side: ReadSide, vault_database: Vault) -> None:
    tally, person = uuid4(), uuid4()
    stream = f"tallies-{tally}"
    side.history.append(stream, TallyOpened(tally_id=tally))
    codec = PayloadCodec(REGISTRY)
    async with pool_of(vault_database.writer_url, 1) as pool:
        key = await KeyVault(pool, KEK).make_key("default", str(person))
    event = TallySigned(tally_id=tally, person=person, signature="Grace H.")
    payload = codec.encode(event, tenant="default", stream=stream, version=2, key=key)
    side.history.append_bytes(stream, TallySigned.TOPIC, payload)
    await side.publish()
    async with side.projector():
        await side.caught_up()
    ((details,),) = await side.rows("SELECT details FROM blue.tallies")
    assert details["signature"] == "Grace H."
    assert b"Grace" not in b"".join(row.payload for row in side.history.rows)


async def test_vault_that_is_away_delays_and_parks_nothing(side: ReadSide, vault_database: Vault) -> None:
    tally, person = uuid4(), uuid4()
    stream = f"tallies-{tally}"
    side.history.append(stream, TallyOpened(tally_id=tally))
    codec = PayloadCodec(REGISTRY)
    async with pool_of(vault_database.writer_url, 1) as pool:
        key = await KeyVault(pool, KEK).make_key("default", str(person))
    event = TallySigned(tally_id=tally, person=person, signature="Grace H.")
    side.history.append_bytes(
        stream, TallySigned.TOPIC, codec.encode(event, tenant="default", stream=stream, version=2, key=key)
    )
    await side.publish()
    genuine, side.vault = side.vault, KeyVault(side.vault._pool, Kek(1, {1: bytes(range(1, 33))}))
    async with side.projector() as tools:
        await eventually(lambda: has_reason(tools, "vault"), "the vault is reported")
        assert await side.positions(TALLIES) == [0] * 8
    side.vault = genuine
    async with side.projector():
        await side.caught_up()
    assert await side.rows("SELECT details ->> 'signature' FROM blue.tallies") == [("Grace H.",)]
