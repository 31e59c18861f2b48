"""A FastAPI application that logs people in and gives their clients a token for the streams.

    pip install fastapi uvicorn joserfc
    SIGNING_KEY=private.json uvicorn fastapi_tokens:app

The key is a private JWK; the sidecars get its public part (docs/authentication.md).
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException, Response
from joserfc import jwt
from joserfc.jwk import ECKey

LIFETIME_S = 600
COOKIE = "__Secure-tidegate"


def current_user(x_user: Annotated[str | None, Header()] = None) -> str:
    """Stands for your own login: a session cookie, OAuth, whatever says who this is."""
    if x_user is None:
        raise HTTPException(401)
    return x_user


def create_app(key: ECKey, lifetime_s: float = LIFETIME_S) -> FastAPI:
    """The application; `key` signs."""
    app = FastAPI()
    header = {"alg": "ES256", "kid": key.kid}

    def token_for(user: str) -> str:
        now = time.time()
        claims: dict[str, Any] = {
            "sub": user,  # the client id: this token opens /sse/subscribe/{user}
            "aud": "feed",  # TIDEGATE_AUTH_AUDIENCE
            "iat": int(now),
            "exp": now + lifetime_s,
            "tidegate": {"subscribe": ["news", f"orders/{user}/*"]},
        }
        return jwt.encode(header, claims, key, ["ES256"])

    @app.post("/stream-token")
    def stream_token(user: Annotated[str, Depends(current_user)]) -> dict[str, object]:
        """For clients that set a header: `headers` of both Tidegate clients may be a function."""
        return {"token": token_for(user), "expires_in_s": lifetime_s}

    @app.post("/stream-cookie", status_code=204)
    def stream_cookie(user: Annotated[str, Depends(current_user)], response: Response) -> None:
        """For pages: at login, and again when the page gets `tidegate.token-expiring`."""
        response.set_cookie(
            COOKIE,
            token_for(user),
            max_age=86_400,  # an expired one tells the sidecar that it may be renewed
            path="/",
            secure=True,
            httponly=True,
            samesite="lax",
        )

    return app


if "SIGNING_KEY" in os.environ:
    app = create_app(ECKey.import_key(json.loads(Path(os.environ["SIGNING_KEY"]).read_text())))
