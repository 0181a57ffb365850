"""Plays one fixed conversation through the OpenAI client, instrumented by a real emitter of telemetry.

    emit.py EMITTER [--protocol http/json]

The model is a stub on loopback. Where the telemetry goes is said by OTEL_EXPORTER_OTLP_ENDPOINT and
OTEL_EXPORTER_OTLP_HEADERS, as for every exporter. Exits 0 when every export was acknowledged in full.
"""

import argparse
import json
import logging
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SYSTEM = "Du buchst Flüge. Be brief ✈\n---\nNever guess a price."
QUESTION = "Was kostet der Flug nach Zürich? 😀"
ARGUMENTS = '{"to": "Zürich", "seats": 2}'
PRICE = '{"price": 129.50, "currency": "CHF"}'
ANSWER = "129,50 Franken."
SECOND = "Und zurück?"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "find_fare",
            "description": "Finds a fare",
            "parameters": {"type": "object", "properties": {"to": {"type": "string"}}},
        },
    }
]


class StubModel(BaseHTTPRequestHandler):
    """Calls the tool first, then answers."""

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if request["messages"][-1]["content"] == QUESTION:
            call = {"name": "find_fare", "arguments": ARGUMENTS}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
            }
        else:
            message = {"role": "assistant", "content": ANSWER}
        reason = "tool_calls" if message["content"] is None else "stop"
        body = json.dumps(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 1700000000,
                "model": "stub-model-1",
                "choices": [{"index": 0, "message": message, "finish_reason": reason}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def exporters(protocol):
    if protocol == "http/json":
        from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter(), OTLPLogExporter()


def watched(processor, exporter):
    """The exporter's processor; remembers exports that failed."""
    export = exporter.export

    def watch(batch, *args, **kwargs):
        result = export(batch, *args, **kwargs)
        if result.name != "SUCCESS":
            FAILED.append(result)
        return result

    exporter.export = watch
    return processor(exporter)


FAILED = []


def labels():
    """Adds what applications add to their spans: whose conversation it is."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Labels(SpanProcessor):
        def on_start(self, span, parent_context=None):
            span.set_attribute("session.id", "conversation/1")
            span.set_attribute("user.id", "mia")

    return Labels()


def instrument(emitter, protocol):
    """Instruments the OpenAI client; gives what must be flushed at the end."""
    if emitter == "opentelemetry-events":
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true"
    if emitter.startswith("opentelemetry-latest"):
        os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
        where = "event_only" if emitter.endswith("details") else "span_only"
        os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = where
        # Without it the package has spans only.
        os.environ["OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT"] = "true"
    os.environ["TRACELOOP_TELEMETRY"] = "false"
    os.environ.setdefault("OTEL_SERVICE_NAME", "airline")

    from opentelemetry import _logs, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    spans, logs = exporters(protocol)
    traces = TracerProvider()
    traces.add_span_processor(labels())
    traces.add_span_processor(watched(BatchSpanProcessor, spans))
    if emitter == "traceloop":
        from traceloop.sdk import Traceloop

        Traceloop.init(app_name=os.environ["OTEL_SERVICE_NAME"], processor=watched(BatchSpanProcessor, spans))
        traces = trace.get_tracer_provider()
        traces.add_span_processor(labels())
        return [traces]
    trace.set_tracer_provider(traces)
    if emitter == "openllmetry-prompts":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=traces)
        return [traces]
    if emitter == "openinference":
        from openinference.instrumentation.openai import OpenAIInstrumentor

        OpenAIInstrumentor().instrument(tracer_provider=traces)
        return [traces]
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    events = LoggerProvider()
    events.add_log_record_processor(watched(BatchLogRecordProcessor, logs))
    _logs.set_logger_provider(events)
    OpenAIInstrumentor().instrument(tracer_provider=traces, logger_provider=events)
    return [traces, events]


def converse(base_url):
    from openai import OpenAI

    client = OpenAI(base_url=base_url, api_key="none")
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]

    def ask():
        answer = client.chat.completions.create(model="stub-model", messages=messages, tools=TOOLS, temperature=0.5)
        messages.append(answer.choices[0].message.model_dump(exclude_none=True))

    ask()
    messages.append({"role": "tool", "tool_call_id": "call_1", "content": PRICE})
    ask()
    messages.append({"role": "user", "content": SECOND})
    ask()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "emitter",
        choices=[
            "opentelemetry-events",
            "opentelemetry-latest",
            "opentelemetry-latest-details",
            "openinference",
            "openllmetry-prompts",
            "traceloop",
        ],
    )
    parser.add_argument("--protocol", choices=["http/protobuf", "http/json"], default="http/protobuf")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    model = ThreadingHTTPServer(("127.0.0.1", 0), StubModel)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    providers = instrument(arguments.emitter, arguments.protocol)
    converse(f"http://127.0.0.1:{model.server_port}/v1")
    for provider in providers:
        provider.force_flush()
    if FAILED:
        raise SystemExit(f"exports failed: {FAILED}")


if __name__ == "__main__":
    main()
