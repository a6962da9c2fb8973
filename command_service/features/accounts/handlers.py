"""From a command about an account to its answer, and the check of a password that sign-in asks for."""

import hashlib
import hmac
from uuid import UUID

from command_service.features.accounts.commands import RegisterUser, Registration, normal
from command_service.features.accounts.domain import EmailAlreadyRegistered, User, evolve, register_user
from command_service.infrastructure.aggregate import Aggregate, Work
from command_service.infrastructure.answer import Answer
from command_service.infrastructure.call import Call
from command_service.infrastructure.event_store.port import Claim, ClaimAction
from command_service.infrastructure.execution import Execution
from shared_kernel.auth.passwords import Passwords, refuse_weak
from shared_kernel.auth.secrets import derive
from shared_kernel.errors import NotFound

USERS = Aggregate("users", evolve)
NOBODY = USERS.stream(UUID(int=0))
"""A stream that never begins; reading it takes as long as reading somebody's."""


class AccountHandlers:
    """Carries out what can be asked of an account. Addresses are claimed as HMACs under a key from `secret`."""

    def __init__(self, execution: Execution, passwords: Passwords, secret: bytes) -> None:
        self._execution = execution
        self._passwords = passwords
        self._claim_key = derive(secret, "claim")

    async def register(self, registration: Registration, call: Call) -> Answer:
        user_id = self._execution.ids.new()

        async def prepare() -> Work[User]:
            return await self._opening(user_id, registration, call.tenant)

        return await self._execution.run_prepared(prepare, call.named(user_id))

    async def user_with(self, tenant: str, email: str, password: str) -> UUID | None:
        """Who has this address and this password, if anybody; it takes as long when nobody has the address."""
        holder = await self._execution.store.claim_holder(tenant, "email", self._email_key(tenant, email))
        user = (await self._execution.load(USERS, tenant, holder or NOBODY)).state
        right = await self._passwords.verify(user.password_hash if user else None, password)
        return user.user_id if user and right else None

    async def has_password(self, tenant: str, user_id: UUID, password: str) -> bool:
        """Whether this is the user's password; it takes as long when there is no such user."""
        user = (await self._execution.load(USERS, tenant, USERS.stream(user_id))).state
        return await self._passwords.verify(user.password_hash if user else None, password)

    async def email_of(self, tenant: str, user_id: UUID) -> str:
        """Raises NotFound."""
        user = (await self._execution.load(USERS, tenant, USERS.stream(user_id))).state
        if user is None:
            raise NotFound
        return user.email

    async def _opening(self, user_id: UUID, registration: Registration, tenant: str) -> Work[User]:
        password = registration.password.get_secret_value()
        refuse_weak(password, registration.email, registration.name)
        email = self._email_key(tenant, registration.email)
        await self._refuse_in_vain(tenant, email)
        hashed = await self._passwords.hash(password)
        command = RegisterUser(user_id, registration.email, registration.name, hashed)
        claims = {
            Claim(ClaimAction.REQUIRE, "tenant", tenant): NotFound(f"There is no tenant {tenant}."),
            Claim(ClaimAction.TAKE, "email", email): EmailAlreadyRegistered(),
            Claim(ClaimAction.TAKE, "user", str(user_id)): EmailAlreadyRegistered(),
        }
        return USERS.creation(user_id, register_user, command, claims=claims, location=f"/v1/users/{user_id}")

    async def _refuse_in_vain(self, tenant: str, email: str) -> None:
        """Not the decision, which the claims make, but it spares the hashing of what will be refused anyway."""
        if await self._execution.store.claim_holder(tenant, "tenant", tenant) is None:
            raise NotFound(f"There is no tenant {tenant}.")
        if await self._execution.store.claim_holder(tenant, "email", email) is not None:
            raise EmailAlreadyRegistered

    def _email_key(self, tenant: str, email: str) -> str:
        """The same for all spellings of an address, and different in every tenant."""
        return hmac.digest(self._claim_key, f"{tenant}\0{_folded(email)}".encode(), hashlib.sha256).hex()


def _folded(email: str) -> str:
    try:
        return normal(email.strip()).casefold()
    except ValueError:  # it is nobody's, and is looked up like any other
        return email.casefold()
