"""An application as its framework's documentation has it; it has never heard of Tidegate."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse
from sse_starlette import EventSourceResponse

app = FastAPI()


async def ticks() -> AsyncIterator[str]:
    n = 0
    while True:
        n += 1
        yield f"id: {n}\ndata: tick {n}\n\n"
        await asyncio.sleep(0.1)


async def words() -> AsyncIterator[str]:
    for n in range(40):
        yield f'data: {{"token": "word {n}"}}\n\n'
        await asyncio.sleep(0.03)
    yield "data: [DONE]\n\n"


@app.get("/events")
async def events() -> StreamingResponse:
    return StreamingResponse(ticks(), media_type="text/event-stream")


@app.get("/sse")
async def sse() -> EventSourceResponse:
    async def events() -> AsyncIterator[dict[str, str]]:
        n = 0
        while True:
            n += 1
            yield {"id": str(n), "data": f"tick {n}"}
            await asyncio.sleep(0.1)

    return EventSourceResponse(events())


@app.post("/v1/chat/completions")
async def chat() -> StreamingResponse:
    return StreamingResponse(words(), media_type="text/event-stream")


@app.post("/echo")
async def echo(request: Request) -> Response:
    return Response(await request.body())
