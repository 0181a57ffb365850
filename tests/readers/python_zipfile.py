"""Python's zipfile. Arguments: ARCHIVE LIMIT; the answer's form is told in tests/it/readers/tools.rs."""

import struct
import sys
import zipfile

out = sys.stdout.buffer
limit = int(sys.argv[2])
with zipfile.ZipFile(sys.argv[1]) as archive:
    for info in archive.infolist():
        name = info.filename.encode()
        is_short = info.file_size <= limit
        text = archive.read(info) if is_short else b""
        out.write(struct.pack("<I", len(name)) + name)
        out.write(struct.pack("<Q", len(text) if is_short else info.file_size) + text)
