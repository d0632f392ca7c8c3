"""What stands behind the gateway in its tests: answers as MLflow, MinIO and its console do, or echoes."""

import base64
import hashlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

RIGHT = "right"
REFUSED = {"/bucket/lost": 404, "/bucket/short": 416}
SIGNS = "/api/2.0/mlflow-artifacts/presigned/"
REFUSALS = {"stranger": "InvalidAccessKeyId", "guesser": "SignatureDoesNotMatch", "modest": "AccessDenied"}


class Upstream(BaseHTTPRequestHandler):
    """Basic authentication below /api/2.0/, signed addresses, S3's refusals, the console's login, an echo.

    MLflow signs no address of what is called `unsigned`; MinIO has lost `lost`, and too little of `short`.
    """

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
        if status == 200 and self.path.startswith(SIGNS):
            status = 404 if "unsigned" in self.path else 200
            said = json.dumps({"url": f"http://minio:9000/bucket/{self.path.removeprefix(SIGNS)}?signature=x"})
        status = next((code for start, code in REFUSED.items() if self.path.startswith(start)), status)
        if self.path == "/api/v1/login":
            status = 204 if RIGHT.encode() in first else 401
        self.send_response(status)
        self.send_header("Content-Length", "0" if status == 204 else str(len(said)))
        self.send_header("Set-Cookie", "token=x; Path=/")
        headers = {"WWW-Authenticate": "Basic"} if status == 401 else {}
        if self.path.startswith("/bucket/"):
            headers |= {"X-Amz-Request-Id": "1", "Strict-Transport-Security": "max-age=1", "Cache-Control": "public"}
            headers["Content-Encoding"] = "gzip"  # so MLflow stores a .gz
        elif "Origin" in self.headers:
            headers["Access-Control-Allow-Origin"] = self.headers["Origin"]
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(said.encode())

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what matters is in the answers."""


for port in (5000, 9000, 9001):
    threading.Thread(target=ThreadingHTTPServer(("", port), Upstream).serve_forever).start()
