"""`python -m deploy.containers.health <port>`: exit code 0 when the process here is ready, 1 when it is not.

It runs every few seconds in every container, so it imports next to nothing.
"""

import http.client
import sys

SECONDS = 4


def is_ready(port: int) -> bool:
    """Whether `/readyz` on this machine says so in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1])) else 1)
