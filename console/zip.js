// Reads the archives that this server writes: every size stands in the directory, entries are stored or deflated.

const END = 0x06054b50, END_BYTES = 22, COMMENT_MAX = 65535;
const LOCATOR64 = 0x07064b50, LOCATOR64_BYTES = 20, END64 = 0x06064b50;
const ENTRY = 0x02014b50, ENTRY_BYTES = 46, LOCAL = 0x04034b50, LOCAL_BYTES = 30;

/**
 * The entries of an archive, in its order; texts are inflated when they are asked for.
 * @param {Uint8Array} bytes the whole archive
 * @returns {{name: string, text: () => Promise<string>}[]}
 * @throws {Error} where the archive does not end as one does
 */
export function unzip(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  let [count, at] = directory(view);
  const entries = [];
  for (; count > 0; count -= 1) {
    if (view.getUint32(at, true) !== ENTRY) throw new Error("the archive's directory is damaged");
    const method = view.getUint16(at + 10, true);
    const size = view.getUint32(at + 20, true);
    const nameBytes = view.getUint16(at + 28, true);
    const rest = view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
    const local = view.getUint32(at + 42, true);
    const name = decoder.decode(bytes.subarray(at + ENTRY_BYTES, at + ENTRY_BYTES + nameBytes));
    entries.push({ name, text: () => text(bytes, view, local, size, method) });
    at += ENTRY_BYTES + nameBytes + rest;
  }
  return entries;
}

/** How many entries there are, and where the first one stands. */
function directory(view) {
  for (let at = view.byteLength - END_BYTES; at >= 0 && at >= view.byteLength - END_BYTES - COMMENT_MAX; at -= 1) {
    if (view.getUint32(at, true) !== END) continue;
    const locator = at - LOCATOR64_BYTES;
    if (locator >= 0 && view.getUint32(locator, true) === LOCATOR64) {
      const end = Number(view.getBigUint64(locator + 8, true));
      if (view.getUint32(end, true) === END64) {
        return [Number(view.getBigUint64(end + 32, true)), Number(view.getBigUint64(end + 48, true))];
      }
    }
    return [view.getUint16(at + 10, true), view.getUint32(at + 16, true)];
  }
  throw new Error("the archive broke off; try again");
}

async function text(bytes, view, local, size, method) {
  if (view.getUint32(local, true) !== LOCAL) throw new Error("an entry of the archive is damaged");
  const start = local + LOCAL_BYTES + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  const stored = bytes.subarray(start, start + size);
  if (method === 0) return new TextDecoder().decode(stored);
  const inflated = new Blob([stored]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(inflated).text();
}
