import java.io.*;
import java.nio.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.zip.*;

/**
 * Java's two readers. Arguments: "stream" (ZipInputStream on standard input) or "file" (ZipFile), ARCHIVE LIMIT; the
 * answer's form is told in tests/it/readers/tools.rs.
 */
public class JavaZip {
    private static final OutputStream OUT =
            new BufferedOutputStream(new FileOutputStream(FileDescriptor.out), 1 << 16);

    public static void main(String[] args) throws IOException {
        long limit = Long.parseLong(args[2]);
        if (args[0].equals("stream")) {
            stream(limit);
        } else {
            file(args[1], limit);
        }
        OUT.flush();
    }

    private static void stream(long limit) throws IOException {
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(System.in, 1 << 20))) {
            for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                put(entry.getName(), zip, limit);
            }
        }
    }

    private static void file(String archive, long limit) throws IOException {
        try (ZipFile zip = new ZipFile(archive)) {
            for (Enumeration<? extends ZipEntry> all = zip.entries(); all.hasMoreElements(); ) {
                ZipEntry entry = all.nextElement();
                if (entry.getSize() > limit) {
                    putHead(entry.getName(), entry.getSize());
                    continue;
                }
                try (InputStream in = zip.getInputStream(entry)) {
                    put(entry.getName(), in, limit);
                }
            }
        }
    }

    /** Reads a text to its end, but keeps no more than the limit of it. */
    private static void put(String name, InputStream in, long limit) throws IOException {
        ByteArrayOutputStream kept = new ByteArrayOutputStream();
        byte[] buffer = new byte[1 << 16];
        long length = 0;
        for (int read; (read = in.read(buffer)) >= 0; length += read) {
            if (length + read <= limit) {
                kept.write(buffer, 0, read);
            }
        }
        putHead(name, length);
        if (length <= limit) {
            kept.writeTo(OUT);
        }
    }

    private static void putHead(String name, long length) throws IOException {
        byte[] bytes = name.getBytes(StandardCharsets.UTF_8);
        ByteBuffer head = ByteBuffer.allocate(12 + bytes.length).order(ByteOrder.LITTLE_ENDIAN);
        OUT.write(head.putInt(bytes.length).put(bytes).putLong(length).array());
    }
}
