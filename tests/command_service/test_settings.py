"""The settings of the command service: complete and strong, or refused in one sentence that shows no secret."""

import base64
import os
import secrets
from pathlib import Path

import pytest

from command_service.settings import Settings, load
from shared_kernel.errors import StartupRefused
from shared_kernel.settings import development_secret

STRONG = {
    "TWINLOG_COMMAND_DATABASE_URL": "postgresql://app:hidden-a@127.0.0.1/command",
    "TWINLOG_VAULT_DATABASE_URL": "postgresql://writer:hidden-b@127.0.0.1/vault",
    "TWINLOG_COMMAND_SECRET": secrets.token_urlsafe(32),
    "TWINLOG_SHARED_SECRET": secrets.token_urlsafe(32),
    "TWINLOG_KEK": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "TWINLOG_TOKEN_KEY_FILE": "/run/secrets/token_key.pem",
}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TWINLOG_")]:
        monkeypatch.delenv(name)


def settings_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in (STRONG | variables).items():
        monkeypatch.setenv(name, value)
    return load()


def refusal_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(StartupRefused) as raised:
        settings_with(monkeypatch, **variables)
    return raised.value.detail


def test_strong_settings_are_accepted_and_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_with(monkeypatch)
    assert (settings.env, settings.command_port, settings.partitions) == ("production", 8001, 8)
    with pytest.raises(ValueError, match="frozen"):
        settings.command_port = 1  # type: ignore[misc]  # that it is refused is the point


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(StartupRefused) as raised:
        load()
    for name in STRONG:
        assert name in raised.value.detail or name == "TWINLOG_TOKEN_KEY_FILE"  # asked for once the rest is there
    assert "\n" not in raised.value.detail


def test_token_key_is_needed_outside_development(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "TWINLOG_TOKEN_KEY_FILE is missing" in refusal_of(monkeypatch, TWINLOG_TOKEN_KEY_FILE="")


@pytest.mark.parametrize("value", ["short", "a" * 64, "change-me-" * 4, development_secret("command_secret")])
def test_weak_secrets_are_refused_outside_development(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    detail = refusal_of(monkeypatch, TWINLOG_COMMAND_SECRET=value)
    assert "TWINLOG_COMMAND_SECRET" in detail
    assert value not in detail


@pytest.mark.parametrize("value", ["short", "!" * 43, development_secret("kek")])
def test_unusable_key_encryption_keys_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    detail = refusal_of(monkeypatch, TWINLOG_KEK=value)
    assert "TWINLOG_KEK" in detail
    assert value not in detail


@pytest.mark.asvs("V13.4.2")
def test_unknown_environment_is_refused_and_never_taken_for_development(monkeypatch: pytest.MonkeyPatch) -> None:
    detail = refusal_of(monkeypatch, TWINLOG_ENV="Development", TWINLOG_COMMAND_SECRET="short")
    assert "TWINLOG_ENV" in detail
    assert "TWINLOG_COMMAND_SECRET" in detail


def test_development_needs_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {name: "" for name in STRONG if not name.endswith("_URL")}
    settings = settings_with(monkeypatch, TWINLOG_ENV="development", **absent)
    assert settings.command_secret.get_secret_value() == development_secret("command_secret")


@pytest.mark.parametrize("url", ["mysql://host/db", "host", "postgresql+psycopg://h/d"])
def test_other_databases_are_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    assert "postgresql:// URL" in refusal_of(monkeypatch, TWINLOG_COMMAND_DATABASE_URL=url)


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("TWINLOG_COMMAND_DATABASE_URL", "postgresql://a:hidden@[::1:5432/log"),
        ("TWINLOG_COMMAND_DATABASE_URL", "postgresql://a:hidden@h/log?no_such_parameter=1"),
        ("TWINLOG_REDIS_URL", "redis://:hidden@h:port/0"),
        ("TWINLOG_REDIS_URL", "redis://:hid/den@h:6379/0"),
        ("TWINLOG_REDIS_URL", "rediss+cluster://:hidden@[::1/0"),
    ],
)
def test_url_that_cannot_be_read_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str, url: str
) -> None:
    detail = refusal_of(monkeypatch, **{name: url})
    assert f"{name}: must be a" in detail
    assert "hid" not in detail


def test_database_of_several_hosts_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    several = "postgresql://a:hidden@h1:5432,h2:5433/log?target_session_attrs=read-write"
    assert settings_with(monkeypatch, TWINLOG_COMMAND_DATABASE_URL=several).command_database_url == several


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_impossible_ports_are_refused(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    assert "TWINLOG_COMMAND_PORT" in refusal_of(monkeypatch, TWINLOG_COMMAND_PORT=port)


def test_secrets_may_be_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(40)
    (tmp_path / "twinlog_command_secret").write_text(secret + "\n")
    settings = settings_with(monkeypatch, TWINLOG_SECRETS_DIR=str(tmp_path), TWINLOG_COMMAND_SECRET="")
    assert settings.command_secret.get_secret_value() == secret


def test_missing_folder_of_secrets_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "not a folder" in refusal_of(monkeypatch, TWINLOG_SECRETS_DIR=str(tmp_path / "nowhere"))


def test_settings_never_show_a_secret_or_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = repr(settings_with(monkeypatch)) + str(settings_with(monkeypatch))
    assert "hidden" not in shown
    assert all(STRONG[name] not in shown for name in STRONG if name.endswith(("SECRET", "KEK")))
