"""Receives traces over OTLP/HTTP in protobuf. Prints its address, then each span on a line as JSON."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest.FromString(body)
        for resource in MessageToDict(request)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    received = {"path": self.path, "header": self.headers["x-collector-key"]}
                    received["resource"] = resource["resource"]["attributes"]
                    print(json.dumps({**received, "span": span}), flush=True)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


collector = HTTPServer(("127.0.0.1", 0), Collector)
print(f"http://127.0.0.1:{collector.server_port}", flush=True)
collector.serve_forever()
