"""An OpenID Connect provider on this machine: real HTTP, real signatures, and knobs."""

import json
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT_ID, SECRET = "swat", "only for tests"
_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class IdentityProvider:
    """Answers as a provider does, about the one person who is at its keyboard.

    Attributes:
        person: what user information says of them.
        refuses: whether that person does not let us know.
        claims: what the ID token says otherwise than it should; None leaves a claim out.
        signs: whether the signature is the provider's own.
        tells_token: whether an ID token comes at all.
        asked: the parameters of each request to sign in.
    """

    def __init__(self) -> None:
        self.person: dict[str, object] = {"sub": "7", "preferred_username": "ada"}
        self.refuses = False
        self.claims: dict[str, object] = {}
        self.signs = True
        self.tells_token = True
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                given = {name: values[0] for name, values in parse_qs(parts.query).items()}
                if parts.path == "/authorize":
                    self.send_response(302)
                    self.send_header("Location", provider.authorize(given))
                    self.end_headers()
                    return
                answers = {
                    "/.well-known/openid-configuration": provider.configuration(),
                    "/keys": provider.keys(),
                    "/userinfo": provider.person,
                }
                self._answer(answers.get(parts.path))

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                sent = parse_qs(self.rfile.read(length).decode())
                self._answer(provider.token({name: values[0] for name, values in sent.items()}))

            def _answer(self, body: object) -> None:
                told = json.dumps(body).encode()
                self.send_response(200 if body else 400)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(told)))
                self.end_headers()
                self.wfile.write(told)

            def log_message(self, *_args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def configuration(self) -> dict[str, object]:
        """Return where everything is."""
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }

    def keys(self) -> dict[str, object]:
        """Return the key that signs."""
        public = jwt.algorithms.RSAAlgorithm.to_jwk(_KEY.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": "one", "alg": "RS256", "use": "sig"}]}

    def authorize(self, given: dict[str, str]) -> str:
        """Return where the person is sent back to."""
        self.asked.append(given)
        if self.refuses:
            told = {"error": "access_denied", "state": given["state"]}
        else:
            code = secrets.token_urlsafe()
            self._codes[code] = given
            told = {"code": code, "state": given["state"]}
        return f"{given['redirect_uri']}?{urlencode(told)}"

    def token(self, sent: dict[str, str]) -> dict[str, object] | None:
        """Return the tokens for a code, once, to whoever began."""
        given = self._codes.pop(sent.get("code", ""), None)
        verifier = sha256(sent.get("code_verifier", "").encode()).digest()
        challenge = urlsafe_b64encode(verifier).decode().rstrip("=")
        if (
            given is None
            or given.get("code_challenge") != challenge
            or (sent.get("client_id"), sent.get("client_secret")) != (CLIENT_ID, SECRET)
        ):
            return None
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": self.person["sub"],
            "nonce": given.get("nonce"),
            "iat": now,
            "exp": now + 60,
            "auth_time": now,
            **self.claims,
        }
        kept = {name: value for name, value in claims.items() if value is not None}
        key = _KEY if self.signs else _STRANGER
        told: dict[str, object] = {"access_token": "opaque", "token_type": "Bearer"}
        if self.tells_token:
            told["id_token"] = jwt.encode(kept, key, algorithm="RS256", headers={"kid": "one"})
        return told
