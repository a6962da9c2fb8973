"""Whose account it is: the check of a password, which takes as long for nobody as for somebody."""

import asyncio
from uuid import UUID

from command_service.features.accounts.commands import OfferPasswordReset, RedeemPasswordReset, TellOfThrottling
from command_service.features.accounts.domain import (
    User,
    WrongPassword,
    evolve_alerts,
    offer_reset,
    redeem_reset,
    tell_of_throttling,
)
from command_service.features.accounts.handlers.accounts import USERS
from command_service.features.accounts.handlers.ports import AddressBook, Attempts
from command_service.infrastructure.aggregate import Aggregate
from command_service.infrastructure.call import Call
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.codes import hash_of, new_code
from shared_kernel.auth.passwords import Passwords
from shared_kernel.background import end
from shared_kernel.errors import NotFound, RateLimited, TwinlogError
from shared_kernel.observability import get_logger

ALERTS = Aggregate("alerts", evolve_alerts)
NOBODY = UUID(int=0)
"""Whose stream never begins; reading it takes as long as reading somebody's."""
MAX_TELLING = 16
"""How many users are told of refused sign-ins at a time; the rest hear of the next refusal."""

_log = get_logger("accounts")


class Credentials:
    """Knows whose a password is. Attempts are counted before a password is looked at, and forgiven when it is right."""

    def __init__(self, execution: Execution, passwords: Passwords, addresses: AddressBook, attempts: Attempts) -> None:
        self._execution = execution
        self._passwords = passwords
        self._addresses = addresses
        self._attempts = attempts
        self._telling: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def user_with(
        self, tenant: str, email: str, password: str, network: str | None = None, *, new_password: str = ""
    ) -> tuple[UUID, str] | None:
        """Who has this address and this password and is let in, if anybody, and the hash that the password fits.

        With `new_password`, `password` is the code of a reset, which `redeem` then uses up. All refusals take the same
        steps.

        Raises RateLimited, ServiceUnavailable when attempts cannot be counted, or WeakPassword.
        """
        key = self._addresses.key_of(tenant, email)
        try:
            await self._attempts.count(tenant, key, network)
        except RateLimited:
            self._tell_soon(tenant, key)
            raise
        user = await self._user_at(tenant, key)
        if not await self._is_right(user, password, as_code=bool(new_password)) or user is None:
            return None
        await self._attempts.forgive(tenant, key, network)
        if new_password:
            await self._passwords.refuse_weak(new_password, user.email, user.name, tenant)
        return user.user_id, user.password_hash

    async def redeem(self, tenant: str, user_id: UUID, code: str, new_password: str) -> str | None:
        """Use the code up and make `new_password` the password.

        The new mark for `still_counts`; None if the code no longer counts.
        """
        hashed = await self._passwords.hash(new_password)
        work = USERS.record(user_id, redeem_reset, RedeemPasswordReset(hash_of(code), hashed))
        try:
            await self._execution.run(work, Call.of_user(tenant, user_id))
        except WrongPassword:
            return None
        return hashed

    async def offer_reset(self, tenant: str, email: str, call: Call) -> str:
        """A code with which the user may choose another password. Raises NotFound."""
        code, user_id = new_code(), await self.user_of(tenant, email)
        await self._execution.run(USERS.record(user_id, offer_reset, OfferPasswordReset(hash_of(code))), call)
        return code

    async def user_of(self, tenant: str, email: str) -> UUID:
        """Raises NotFound."""
        user_id = await self._holder_of(tenant, self._addresses.key_of(tenant, email))
        if user_id is None:
            raise NotFound
        return user_id

    async def has_password(self, tenant: str, user_id: UUID, password: str) -> bool:
        """Whether this is the user's password; it takes as long when there is no such user. Raises as `user_with`."""
        await self._attempts.count(tenant, str(user_id))
        right = await self._fits(await self._user(tenant, user_id), password)
        if right:
            await self._attempts.forgive(tenant, str(user_id))
        return right

    async def still_counts(self, tenant: str, user_id: UUID, mark: str) -> bool:
        """Whether nobody has suspended the user or changed the password since it was shown."""
        user = await self._user(tenant, user_id)
        return user is not None and not user.suspended and user.password_hash == mark

    async def is_let_in(self, tenant: str, user_id: UUID) -> bool:
        """Whether there is such a user and nobody has suspended them."""
        user = await self._user(tenant, user_id)
        return user is not None and not user.suspended

    async def email_of(self, tenant: str, user_id: UUID) -> str:
        """Raises NotFound."""
        user = await self._user(tenant, user_id)
        if user is None:
            raise NotFound
        return user.email

    async def close(self) -> None:
        """Let nobody be told any more."""
        await end(*self._telling.values())

    async def _user(self, tenant: str, user_id: UUID) -> User | None:
        return (await self._execution.load(USERS, tenant, USERS.stream(user_id))).state

    async def _user_at(self, tenant: str, key: str) -> User | None:
        """Whose address this is. The vault is asked once, whether or not there is a user or a key is remembered:
        neither its absence nor the time that it takes may tell who has an account.
        """
        user_id = await self._holder_of(tenant, key) or NOBODY
        vault = self._execution.vault
        vault.evict(tenant, str(user_id))
        await vault.key_of(tenant, str(user_id))
        return await self._user(tenant, user_id)

    async def _holder_of(self, tenant: str, key: str) -> UUID | None:
        holder = await self._execution.store.claim_holder(tenant, "email", key)
        return None if holder is None else UUID(holder.removeprefix("users-"))

    async def _is_right(self, user: User | None, shown: str, *, as_code: bool) -> bool:
        """A code is checked against the password hash too: the time must not tell which of the two was shown."""
        fits = await self._fits(user, shown)
        if not as_code:
            return fits
        now = self._execution.clock.now()
        return user is not None and not user.suspended and user.resets_with(hash_of(shown), now)

    async def _fits(self, user: User | None, password: str) -> bool:
        right = await self._passwords.verify(user.password_hash if user else None, password)
        return right and user is not None and not user.suspended

    def _tell_soon(self, tenant: str, key: str) -> None:
        """Beside the answer, which must not take longer for an address that somebody has."""
        if (tenant, key) in self._telling or len(self._telling) >= MAX_TELLING:
            return
        task = asyncio.create_task(self._tell(tenant, key))
        self._telling[(tenant, key)] = task
        task.add_done_callback(lambda _: self._telling.pop((tenant, key), None))

    async def _tell(self, tenant: str, key: str) -> None:
        try:
            user_id = await self._holder_of(tenant, key)
            if user_id is None:
                return
            work = ALERTS.record(user_id, tell_of_throttling, TellOfThrottling(user_id))
            await self._execution.run(work, Call.of_system(tenant, "sign-in"))
        except TwinlogError as error:
            _log.warning("a user was not told of refused sign-ins", problem=error.code())
