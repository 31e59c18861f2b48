"""Shapes of answers as servers in use send them: heads and last bytes, written here.

`finite`: the answer ends by itself and must. `endless`: it lives until something ends it. `plain`:
no event stream. The last column of a GET that ends with a terminal event is what is right for the
path's next stream; the first one of its path cannot be told from an endless one by its head.
"""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    name: str
    method: str
    path: str
    expected: str
    head: dict[str, str]
    status: int = 200
    asks: str = "text/event-stream"
    last: bytes = b""


_CHUNKED = {"Transfer-Encoding": "chunked"}
_SSE = {"Content-Type": "text/event-stream", **_CHUNKED}
_UTF8 = {"Content-Type": "text/event-stream; charset=utf-8", **_CHUNKED}
_SPRING = {"Content-Type": "text/event-stream;charset=UTF-8", **_CHUNKED}
_JSON = {"Content-Type": "application/json", "Content-Length": "40"}
_NDJSON = {"Content-Type": "application/x-ndjson", **_CHUNKED}
_CLOSE = {"Content-Type": "text/event-stream", "Connection": "close"}
_NO_CACHE = _SSE | {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_DONE = b"data: [DONE]\n\n"

SHAPES = [
    # OpenAI-compatible servers and gateways: answers by POST.
    Shape("openai chat", "POST", "/v1/chat/completions", "finite", _UTF8, last=_DONE),
    Shape("openai completions", "POST", "/v1/completions", "finite", _UTF8, last=_DONE),
    Shape("openai responses", "POST", "/v1/responses", "finite", _UTF8),
    Shape("openai runs", "POST", "/v1/threads/t/runs", "finite", _UTF8, last=b"event: done\n\n"),
    Shape("openai speech", "POST", "/v1/audio/speech", "finite", _UTF8),
    Shape("openai plain", "POST", "/v1/chat/completions", "plain", _JSON, asks="*/*"),
    Shape("openai error", "POST", "/v1/chat/completions", "plain", _JSON, 429),
    Shape("azure chat", "POST", "/openai/deployments/d/chat/completions", "finite", _SSE),
    Shape("vllm chat", "POST", "/v1/chat/completions", "finite", _UTF8, asks="*/*", last=_DONE),
    Shape("sglang generate", "POST", "/generate", "finite", _UTF8, asks="*/*", last=_DONE),
    Shape("tgi", "POST", "/generate_stream", "finite", _SSE, asks="*/*"),
    Shape("llama.cpp", "POST", "/completion", "finite", _SSE, asks="*/*", last=_DONE),
    Shape("ollama own", "POST", "/api/chat", "plain", _NDJSON, asks="*/*"),
    Shape("ollama pull", "POST", "/api/pull", "plain", _NDJSON, asks="*/*"),
    Shape("litellm", "POST", "/chat/completions", "finite", _UTF8, asks="*/*", last=_DONE),
    Shape("anthropic", "POST", "/v1/messages", "finite", _UTF8, last=b"event: message_stop\n\n"),
    Shape("gemini", "POST", "/v1beta/models/m:streamGenerateContent", "finite", _SSE, asks="*/*"),
    Shape("cohere", "POST", "/v2/chat", "finite", _SSE),
    Shape("bedrock events", "POST", "/model/m/converse-stream", "plain",
          {"Content-Type": "application/vnd.amazon.eventstream", **_CHUNKED}),
    Shape("mistral", "POST", "/v1/chat/completions", "finite", _UTF8, last=_DONE),
    Shape("aphrodite by GET", "GET", "/v1/stream?prompt=a", "finite", _SSE, last=_DONE),
    # Frameworks for agents and chat pages.
    Shape("ai sdk ui", "POST", "/api/chat", "finite",
          _SSE | {"x-vercel-ai-ui-message-stream": "v1"}, asks="*/*", last=_DONE),
    Shape("ai sdk text", "POST", "/api/chat", "plain",
          {"Content-Type": "text/plain; charset=utf-8", **_CHUNKED}, asks="*/*"),
    Shape("ai sdk resume", "GET", "/api/chat/9/stream", "finite",
          _SSE | {"x-vercel-ai-ui-message-stream": "v1"}, last=_DONE),
    Shape("ai sdk nothing to resume", "GET", "/api/chat/9/stream", "plain", {}, 204),
    Shape("langserve stream", "POST", "/chain/stream", "finite", _UTF8, last=b"event: end\n\n"),
    Shape("langserve log", "POST", "/chain/stream_log", "finite", _UTF8, last=b"event: end\n\n"),
    Shape("langgraph run", "POST", "/threads/t/runs/stream", "finite", _UTF8),
    Shape("langgraph join", "GET", "/threads/t/runs/r/stream", "finite", _UTF8,
          last=b"event: end\ndata: null\n\n"),
    Shape("ag-ui", "POST", "/agent", "finite", _UTF8, last=b'data: {"type":"RUN_FINISHED"}\n\n'),
    Shape("a2a send", "POST", "/", "finite", _UTF8),
    Shape("dify", "POST", "/v1/chat-messages", "finite", _UTF8, asks="*/*"),
    Shape("flowise", "POST", "/api/v1/prediction/f", "finite", _SSE, last=b"event: end\n\n"),
    Shape("gradio queue", "GET", "/gradio_api/queue/data?session_hash=s", "endless", _UTF8),
    Shape("gradio call", "GET", "/gradio_api/call/predict/e1", "finite", _UTF8,
          last=b"event: complete\ndata: [1]\n\n"),
    Shape("comfy", "POST", "/prompt", "plain", _JSON),
    # Model Context Protocol.
    Shape("mcp call streamed", "POST", "/mcp", "finite", _NO_CACHE,
          asks="application/json, text/event-stream"),
    Shape("mcp call at once", "POST", "/mcp", "plain", _JSON,
          asks="application/json, text/event-stream"),
    Shape("mcp notification", "POST", "/mcp", "plain", {"Content-Length": "0"}, 202,
          asks="application/json, text/event-stream"),
    Shape("mcp listening", "GET", "/mcp", "endless", _NO_CACHE),
    Shape("mcp without listening", "GET", "/mcp", "plain", {"Content-Length": "0"}, 405),
    Shape("mcp delete", "DELETE", "/mcp", "plain", {"Content-Length": "0"}, 200, asks="*/*"),
    Shape("mcp old transport", "GET", "/sse", "endless", _UTF8),
    # GraphQL over SSE.
    Shape("graphql distinct", "POST", "/graphql", "finite", _SSE, last=b"event: complete\n\n"),
    Shape("graphql single", "GET", "/graphql/stream?token=t", "endless", _UTF8),
    Shape("graphql multipart", "POST", "/graphql", "plain",
          {"Content-Type": "multipart/mixed; boundary=-", **_CHUNKED}, asks="multipart/mixed"),
    # Frameworks for the web: streams that live on.
    Shape("sse-starlette", "GET", "/events", "endless", _UTF8 | {"Cache-Control": "no-store"}),
    Shape("fastapi", "GET", "/stream", "endless", _UTF8),
    Shape("fastapi post", "POST", "/stream", "finite", _UTF8),
    Shape("django", "GET", "/events/", "endless", _CLOSE),
    Shape("django-eventstream", "GET", "/events/room/", "endless", _NO_CACHE),
    Shape("flask-sse", "GET", "/stream", "endless", _CLOSE | {"Content-Type":
          "text/event-stream; charset=utf-8"}),
    Shape("express", "GET", "/events", "endless", _SSE | {"Connection": "keep-alive"}),
    Shape("fastify", "GET", "/sse", "endless", _UTF8),
    Shape("nest", "GET", "/sse", "endless", _NO_CACHE),
    Shape("next route", "GET", "/api/events", "endless", _NO_CACHE),
    Shape("hono", "GET", "/sse", "endless", _SSE),
    Shape("spring mvc", "GET", "/stream", "endless", _SSE),
    Shape("spring webflux", "GET", "/stream", "endless", _SPRING),
    Shape("quarkus", "GET", "/prices", "endless", _SSE | {"X-SSE-Content-Type": "text/plain"}),
    Shape("rails live", "GET", "/live", "endless", _NO_CACHE | {"Last-Modified": "now"}),
    Shape("turbo streams", "GET", "/turbo", "endless", _UTF8),
    Shape("laravel", "GET", "/stream", "endless", _NO_CACHE),
    Shape("symfony mercure", "GET", "/.well-known/mercure?topic=a", "endless", _SSE),
    Shape("go net/http", "GET", "/events", "endless", _SSE),
    Shape("axum", "GET", "/sse", "endless", _SSE | {"Cache-Control": "no-cache"}),
    Shape("actix", "GET", "/events", "endless", _SSE),
    Shape("phoenix", "GET", "/sse", "endless", _UTF8),
    Shape("asp.net", "GET", "/sse", "endless", _SSE | {"Cache-Control": "no-cache,no-store"}),
    Shape("signalr over sse", "GET", "/hub?id=1", "endless", _SSE),
    Shape("ld relay", "GET", "/all", "endless", _UTF8),
    Shape("pocketbase", "GET", "/api/realtime", "endless", _SSE),
    Shape("kubernetes watch", "GET", "/api/v1/pods?watch=1", "plain",
          {"Content-Type": "application/json", **_CHUNKED}, asks="application/json"),
    Shape("etag", "GET", "/events", "plain", {}, 304),
    Shape("sign in first", "GET", "/events", "plain", {"Content-Length": "0"}, 401),
    Shape("recorded stream", "GET", "/recorded", "finite",
          {"Content-Type": "text/event-stream", "Content-Length": "900"}),
    Shape("file upload", "PUT", "/files/a", "plain", {"Content-Length": "0"}, 201, asks="*/*"),
    Shape("own word finite", "GET", "/report", "finite", _SSE | {"Tidegate-Stream": "finite"}),
    Shape("own word endless", "POST", "/subscribe", "endless",
          _SSE | {"Tidegate-Stream": "endless"}),
    Shape("compressed", "GET", "/events", "opaque", _SSE | {"Content-Encoding": "gzip"}),
    Shape("page", "GET", "/", "plain", {"Content-Type": "text/html", **_CHUNKED}, asks="text/html"),
]  # fmt: skip
