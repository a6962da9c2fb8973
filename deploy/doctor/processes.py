"""The four processes: does each answer, and does it call itself ready?"""

import httpx2

from deploy.doctor.connecting import SECONDS
from deploy.doctor.finding import Check, fine, found, unreachable


def process(name: str, url: str, pid: int | None) -> Check:
    """`pid` where a supervisor keeps it: 0 says that it is between two lives, None that nobody knows."""
    label = f"process.{name}"
    try:
        answer = httpx2.get(f"{url}/readyz", timeout=SECONDS)
    except httpx2.InvalidURL as error:
        return unreachable(label, f"{url} is no address: {error}.", f"correct TWINLOG_{name.upper()}_URL.", url=url)
    except httpx2.HTTPError as error:
        return unreachable(label, f"{url} does not answer ({type(error).__name__}).", _advice(name, pid), url=url)
    if answer.status_code == 200:
        return fine(label, f"Ready at {url}.", url=url)
    reasons = _reasons(answer)
    says = "; ".join(f"{check}: {reason}" for check, reason in reasons.items()) or f"status {answer.status_code}"
    return found(label, f"Not ready: {says}", "see to what it names; it goes on by itself.", url=url, checks=reasons)


def _advice(name: str, pid: int | None) -> str:
    if pid:
        return f"look at process {pid} and at the last lines of logs/{name}.log; kill it if it hangs."
    if pid == 0:
        return f"it is being started again; if it does not stay, logs/{name}.log says why."
    return f"start it, or set TWINLOG_{name.upper()}_URL to where it listens."


def _reasons(answer: httpx2.Response) -> dict[str, str]:
    try:
        checks = answer.json()["checks"]
        return {str(check): str(reason) for check, reason in checks.items() if reason}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
