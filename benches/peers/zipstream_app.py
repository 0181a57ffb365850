"""An ASGI application that serves one folder as a zip with zipstream-ng; run by uvicorn.

FOLDER names the folder, METHOD is `store` or `deflate`. It is the peer at its best: no sign-in, no selection, files in
the page cache, and pieces gathered to 64 KiB so that uvicorn sends few of them.
"""

import os
import pathlib
import zipfile

import zipstream

FOLDER = pathlib.Path(os.environ["FOLDER"])
METHOD = {"store": zipfile.ZIP_STORED, "deflate": zipfile.ZIP_DEFLATED}[os.environ["METHOD"]]
PATHS = [(str(path), str(path.relative_to(FOLDER))) for path in sorted(FOLDER.rglob("*")) if path.is_file()]
PIECE = 64 * 1024


async def app(scope, _receive, send):
    if scope["type"] != "http":
        return
    archive = zipstream.ZipStream(compress_type=METHOD)
    for path, name in PATHS:
        archive.add_path(path, name)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/zip")]})
    gathered, size = [], 0
    for part in archive:
        gathered.append(part)
        size += len(part)
        if size >= PIECE:
            await send({"type": "http.response.body", "body": b"".join(gathered), "more_body": True})
            gathered, size = [], 0
    await send({"type": "http.response.body", "body": b"".join(gathered)})
