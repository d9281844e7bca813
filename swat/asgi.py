"""The ASGI application: what uvicorn serves, streams for the pages of windows.

Django's own handler keeps a thread for each request until it is answered, and the thread its
connection to the database: three hundred streams would be three hundred of both, for an hour.
Here all requests share one, which looks up who is at the door.
"""

import asyncio
import os
from contextlib import suppress
from io import BytesIO

import django
from asgiref.typing import (
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    Scope,
)
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls.exceptions import Resolver404
from django.urls.resolvers import RegexPattern, URLResolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "swat.settings")
django.setup(set_prefix=False)

ADDRESSES = URLResolver(RegexPattern(r"^/"), "swat.live_urls")
PATIENCE = 30  # seconds for a browser to take what it is sent; one that does not is not there


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answer a request, for as long as the browser is there."""
    if scope["type"] != "http":
        raise ValueError(f"Only HTTP is served here, and no {scope['type']}.")
    answer = await _answer_to(scope)
    sending = asyncio.create_task(_send(answer, send))
    leaving = asyncio.create_task(_has_left(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        answer.close()
        for task in (sending, leaving):
            task.cancel()
    with suppress(asyncio.CancelledError, TimeoutError):
        await sending


async def _answer_to(scope: Scope) -> HttpResponseBase:
    try:
        request = ASGIRequest(scope, BytesIO())
        request.get_host()  # refuses a host that is not ours
        view, args, kwargs = ADDRESSES.resolve(request.path_info)
    except (UnicodeDecodeError, SuspiciousOperation):
        return HttpResponse("This request cannot be read.\n", status=400, content_type="text/plain")
    except Resolver404:
        return HttpResponse("There is nothing here.\n", status=404, content_type="text/plain")
    answer: HttpResponseBase = await view(request, *args, **kwargs)
    return answer


async def _send(answer: HttpResponseBase, send: ASGISendCallable) -> None:
    headers = [(name.encode("ascii"), text.encode("latin-1")) for name, text in answer.items()]
    await send(
        HTTPResponseStartEvent(
            type="http.response.start", status=answer.status_code, headers=headers, trailers=False
        )
    )
    if isinstance(answer, StreamingHttpResponse):
        async for part in answer:
            async with asyncio.timeout(PATIENCE):
                await send(_body(part, more=True))
    await send(_body(answer.content if isinstance(answer, HttpResponse) else b"", more=False))


def _body(part: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    return HTTPResponseBodyEvent(type="http.response.body", body=part, more_body=more)


async def _has_left(receive: ASGIReceiveCallable) -> None:
    """Return once the browser is gone; what it sends before is nothing that is wanted."""
    while (await receive())["type"] != "http.disconnect":
        pass
