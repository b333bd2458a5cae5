"""Whether a web server of ours listens at an address, asked as a load balancer would."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import Final

from portal.operations.probes import HEALTH_BODY, HEALTH_PATH

_ANSWER_WITHIN_S: Final = 2


def reachable(host: str) -> str:
    """An address at which a server that listens on `host` answers this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound


def answers(host: str, port: int) -> bool:
    """Whether it is alive; another program's server is none of ours, whatever it answers."""
    # Not urllib: it would ask a proxy from the environment.
    web = http.client.HTTPConnection(reachable(host), port, timeout=_ANSWER_WITHIN_S)
    try:
        web.request("GET", HEALTH_PATH)
        answer = web.getresponse()
        return answer.status == HTTPStatus.OK and answer.read(len(HEALTH_BODY) + 1) == HEALTH_BODY
    except (http.client.HTTPException, OSError):
        return False
    finally:
        web.close()
