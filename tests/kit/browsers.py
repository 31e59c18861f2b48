"""Debian's Chromium, driven by Playwright; a page and its modules are answered by the test itself.

They stand on the origin of whatever serves the streams, so that nothing crosses origins.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from kit.node_tools import PACKAGE
from kit.system_programs import require

CSP = "default-src 'none'; script-src 'self'; connect-src 'self'"
_PAGE = '<!doctype html><script type="module" src="/page/page.js"></script>'
_PATIENCE_S = 60


@contextlib.asynccontextmanager
async def browser_context(script: str) -> AsyncIterator[Any]:
    """A fresh browser; below ``/page/`` it gets a page that runs `script`, and the built client.

    Skips the test where there is no Playwright or no Chromium.
    """
    playwright_api = pytest.importorskip(
        "playwright.async_api", reason="no playwright: run make test"
    )
    chromium = require("chromium")

    async def give(route: Any) -> None:
        name = route.request.url.rpartition("/")[2]
        if name == "index.html":
            headers = {"Content-Security-Policy": CSP}
            await route.fulfill(body=_PAGE, headers=headers, content_type="text/html")
        else:
            body = script if name == "page.js" else (PACKAGE / "dist" / name).read_text()
            await route.fulfill(body=body, content_type="text/javascript")

    async with playwright_api.async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        context = await browser.new_context()
        await context.route("**/page/*", give)
        try:
            yield context
        finally:
            await browser.close()


async def open_page(context: Any, port: int) -> Any:
    """The page, once its script has set ``globalThis.logs``."""
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{port}/page/index.html")
    await until_true(page, "globalThis.logs")
    return page


async def until_true(page: Any, expression: str) -> None:
    """Wait for it from outside: playwright's own waiting needs eval, which the CSP forbids."""
    async with asyncio.timeout(_PATIENCE_S):
        while not await page.evaluate(expression):  # noqa: ASYNC110 - the page is polled
            await asyncio.sleep(0.02)
