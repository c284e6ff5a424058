"""Reverse proxies with a prefix: a small one of our own, and nginx."""

from __future__ import annotations

import http.client
import http.server
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "/watch/daflow/"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


@contextmanager
def small_proxy(upstream: str) -> Iterator[str]:
    """Serve an address below a prefix, each part of an answer as soon as it comes; yield the new address."""
    port = urlsplit(upstream).port

    class Handler(http.server.BaseHTTPRequestHandler):
        def _forward(self) -> None:
            if not self.path.startswith(PREFIX):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            headers |= {"X-Forwarded-For": self.client_address[0], "X-Forwarded-Proto": "http"}
            headers |= {"Host": f"127.0.0.1:{port}"}
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request(self.command, "/" + self.path[len(PREFIX) :], body, headers)
                answer = connection.getresponse()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                self.send_header("connection", "close")
                self.end_headers()
                while part := answer.read1():
                    self.wfile.write(part)
            except OSError:
                pass  # one of both has gone
            finally:
                self.close_connection = True
                connection.close()

        do_GET = do_POST = _forward  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def nginx(upstream: str, folder: Path, scheme: str = "http", more: str = "") -> Iterator[str]:
    """Serve an address below a prefix by nginx, as docs/operating.md shows it; yield the new address.

    Args:
        upstream: the address of the service.
        folder: of the files of nginx.
        scheme: by which visitors come, as the proxy says.
        more: further settings of the server.
    """
    page = (Path(__file__).parents[3] / "docs" / "operating.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r"^location .*?^\}", page, re.DOTALL | re.MULTILINE)
    for text, actual in (("/daflow/", PREFIX), ("http://127.0.0.1:8080/", upstream), ("$scheme", scheme)):
        assert text in documented
        documented = documented.replace(text, actual)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  {temporary}
  server {{
    listen 127.0.0.1:{port};
    {more}
    {documented}
  }}
}}
""",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    try:
        yield f"http://127.0.0.1:{port}{PREFIX}"
    finally:
        process.terminate()
        process.wait(10)
