"""nginx as a reverse proxy: the floor, as it neither authenticates nor parses. Tuned as its documentation says."""

import getpass
import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

from bench.subjects.subject import CHAT_PATH, Door, Launch, Unavailable

_UNBUFFERED: Final = "/unbuffered"

_CONFIGURATION: Final = """
{user}
worker_processes 1;
daemon off;
error_log stderr crit;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_max_body_size 32m;
    client_body_buffer_size 1m;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream mock {{
        server 127.0.0.1:{mock_port};
        keepalive 256;
        keepalive_requests 1000000000;
        keepalive_timeout 600s;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ proxy_pass http://mock; }}
        location {unbuffered}/ {{ proxy_pass http://mock/; proxy_buffering off; }}
    }}
}}
"""


class Nginx:
    """One worker, kept-alive connections on both sides; streams go through a location without buffering."""

    name = "nginx"
    slow = False

    def __init__(self, *, install: bool = False) -> None:
        self._install = install

    def obtain(self) -> str:
        """Find nginx on PATH; install the package only when that was asked for."""
        if shutil.which("nginx") is None and self._install:
            self._apt_install()
        if shutil.which("nginx") is None:
            raise Unavailable("not installed (`apt-get install nginx-light`, or run with --install-nginx)")
        told = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True)
        return told.stderr.strip().rpartition("/")[2]

    def launch(self, *, port: int, mock_port: int, folder: Path) -> Launch:
        """Write nginx.conf and start in the foreground."""
        user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        text = _CONFIGURATION.format(user=user, folder=folder, port=port, mock_port=mock_port, unbuffered=_UNBUFFERED)
        path = folder / "nginx.conf"
        path.write_text(text, encoding="utf-8")
        return Launch(
            argv=("nginx", "-p", str(folder), "-e", "stderr", "-c", str(path)),
            door=Door(port=port, stream_path=_UNBUFFERED + CHAT_PATH),
        )

    def _apt_install(self) -> None:
        # Debian's package starts a system-wide server by itself unless the run level says single-user.
        environment = {**os.environ, "RUNLEVEL": "1", "DEBIAN_FRONTEND": "noninteractive"}
        command = ["apt-get", "install", "-y", "-qq", "nginx-light"]
        subprocess.run(command, env=environment, capture_output=True, check=False, timeout=300)
