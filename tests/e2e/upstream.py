"""What stands behind the gateway in its tests: answers as MLflow, MinIO and its console do, or echoes."""

import base64
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RIGHT = "right"
REFUSALS = {"stranger": "InvalidAccessKeyId", "guesser": "SignatureDoesNotMatch", "modest": "AccessDenied"}


class Upstream(BaseHTTPRequestHandler):
    """Basic authentication below /api/2.0/, S3's refusals by access key, the console's login, and an echo."""

    protocol_version = "HTTP/1.1"
    server_version = "Chatty/1.0"

    def body(self) -> tuple[int, str, bytes]:
        """Read the request's body, chunked or not; return its size, its checksum and its beginning."""
        digest, size, first = hashlib.md5(), 0, b""
        chunked = self.headers.get("Transfer-Encoding", "") == "chunked"
        left = 1 if chunked else int(self.headers.get("Content-Length") or 0)
        while left:
            if chunked:
                left = int(self.rfile.readline(), 16)
            data = self.rfile.read(left if chunked else min(left, 1 << 20))
            if chunked:
                self.rfile.readline()
            else:
                left -= len(data)
            digest.update(data)
            size, first = size + len(data), first or data[:1000]
        return size, digest.hexdigest(), first

    def answer(self) -> None:
        """Answer any method."""
        size, checksum, first = self.body()
        seen = {"path": self.path, "headers": dict(self.headers), "size": size, "md5": checksum}
        status, said = 200, json.dumps(seen | {"connection": self.client_address, "host": socket.gethostname()})
        authorization = self.headers.get("Authorization", "")
        if self.path.startswith("/api/2.0/"):
            login = base64.b64decode(authorization.partition(" ")[2]).decode()
            status = 200 if login.endswith(f":{RIGHT}") else 401
        for key, code in REFUSALS.items():
            if f"Credential={key}/" in authorization:
                status, said = 403, f"<Error><Code>{code}</Code></Error>"
        if self.path == "/api/v1/login":
            status = 204 if RIGHT.encode() in first else 401
        self.send_response(status)
        self.send_header("Content-Length", "0" if status == 204 else str(len(said)))
        self.send_header("Set-Cookie", "token=x; Path=/")
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(said.encode())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what matters is in the answers."""


for port in (5000, 9000, 9001):
    threading.Thread(target=ThreadingHTTPServer(("", port), Upstream).serve_forever).start()
