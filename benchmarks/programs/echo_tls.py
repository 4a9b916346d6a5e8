"""Echo over TLS: `echo.py` with both ends of each connection wrapped. An operation is one round trip.

The handshakes are not measured. `--keys` is a folder with `cert.pem`, `key.pem` and `ca.pem`, for 127.0.0.1.
"""

from __future__ import annotations

import socket
import ssl
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # no launcher puts the checkout's folder there

from benchmarks.programs.echo import arguments, run


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = arguments(__doc__)
    parser.add_argument("--keys", type=Path, required=True, help="folder with cert.pem, key.pem and ca.pem")
    options = parser.parse_args()
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.load_cert_chain(options.keys / "cert.pem", options.keys / "key.pem")
    connecting = ssl.create_default_context(cafile=str(options.keys / "ca.pem"))

    def on_server(sock: socket.socket) -> socket.socket:
        return accepting.wrap_socket(sock, server_side=True)

    def on_client(sock: socket.socket) -> socket.socket:
        return connecting.wrap_socket(sock, server_hostname="127.0.0.1")

    return run(options, on_server, on_client)


if __name__ == "__main__":
    sys.exit(main())
