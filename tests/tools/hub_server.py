"""A model hub of one folder on this machine, with faults on request: for tests/tools/pull.sh.

Usage: hub_server.py FOLDER PORT_FILE LOG_FILE
A request for /owner/repo/resolve/main/NAME gives FOLDER/NAME. The repo's name chooses the behaviour:
  good     ranges are honoured            norange  always the whole file
  cut      breaks off after half of what is left     stalled  half of it, the rest when a minute has gone by
  moved    redirects to good              missing  404
The log gets a line a request: PATH RANGE.
"""
import http.server
import pathlib
import select
import sys

folder, port_file, log_file = (pathlib.Path(a) for a in sys.argv[1:4])


class Hub(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        asked = self.headers.get("Range", "-")
        with log_file.open("a") as log:
            log.write(f"{self.path} {asked}\n")
        _, owner, repo, _, _, name = self.path.split("/")
        if repo == "moved":
            self.send_response(302)
            self.send_header("Location", f"/{owner}/good/resolve/main/{name}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if repo == "missing" or not (folder / name).is_file():
            self.send_response(404)
            self.send_header("Content-Length", "9")
            self.end_headers()
            self.wfile.write(b"not found")
            return
        data = (folder / name).read_bytes()
        total, start = len(data), 0
        if asked != "-" and repo != "norange":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            data = data[start:]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            if repo == "cut" and len(data) > 100000:
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                self.close_connection = True
            elif repo == "stalled":
                self.wfile.write(data[: len(data) // 2])
                self.wfile.flush()
                select.select([self.connection], [], [], 60)  # or when the client goes away
                self.wfile.write(data[len(data) // 2 :])
            else:
                self.wfile.write(data)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # clients that go away are part of the test


server = Server(("127.0.0.1", 0), Hub)
port_file.with_suffix(".new").write_text(str(server.server_address[1]))
port_file.with_suffix(".new").rename(port_file)
server.serve_forever()
