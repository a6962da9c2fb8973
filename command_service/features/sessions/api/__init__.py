"""The routes of tokens, sessions and second factors."""

from fastapi import APIRouter

from command_service.features.sessions.api import sessions, tokens, totp

routers: tuple[APIRouter, ...] = (tokens.router, sessions.router, totp.router)
