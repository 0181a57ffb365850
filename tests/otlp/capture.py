"""Captures what the real emitters send, as fixtures for the tests of `crates/prompt_intake`.

    capture.py [EMITTER …]

Writes crates/prompt_intake/tests/otlp/EMITTER.{traces,logs}.{protobuf,json}. Ids and times are new each time, so run
UPDATE=1 cargo test -p prompt_intake --test otlp afterwards and read the difference.

openllmetry-prompts is what OpenLLMetry sent before it took over the GenAI conventions: name it, with an
interpreter that has opentelemetry-instrumentation-openai==0.53.4, openai==1.109.1 and both exporters.
"""

import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parents[1] / "crates" / "prompt_intake" / "tests" / "otlp"
EMITTERS = ["opentelemetry-events", "opentelemetry-latest", "opentelemetry-latest-details", "openinference", "traceloop"]


class Collector(BaseHTTPRequestHandler):
    requests = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        type_ = self.headers["Content-Type"]
        Collector.requests.append((self.path.rsplit("/", 1)[1], type_, body))
        self.send_response(200)
        self.send_header("Content-Type", type_)
        self.send_header("Content-Length", "2" if type_.endswith("json") else "0")
        self.end_headers()
        self.wfile.write(b"{}" if type_.endswith("json") else b"")

    def log_message(self, *_):
        pass


def main():
    collector = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=collector.serve_forever, daemon=True).start()
    environment = dict(os.environ, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.server_port}")
    for emitter in sys.argv[1:] or EMITTERS:
        for protocol, suffix in [("http/protobuf", "protobuf"), ("http/json", "json")]:
            Collector.requests.clear()
            command = [sys.executable, HERE / "emit.py", emitter, "--protocol", protocol]
            subprocess.run(command, env=environment, check=True, timeout=120)
            for signal in ["traces", "logs"]:
                bodies = [body for found, _, body in Collector.requests if found == signal]
                if bodies:
                    assert len(bodies) == 1, (emitter, signal, len(bodies))
                    (FIXTURES / f"{emitter}.{signal}.{suffix}").write_bytes(bodies[0])
                    print(emitter, signal, suffix, len(bodies[0]), "bytes")


if __name__ == "__main__":
    main()
