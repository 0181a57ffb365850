// What the drivers for Node answer in; its form is told in tests/it/readers/tools.rs.
const fs = require("fs");

// Many entries are small: one write for each would take longer than the reading.
let gathered = [];
let gatheredBytes = 0;

function flush() {
  const bytes = Buffer.concat(gathered);
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(1, bytes, at);
  [gathered, gatheredBytes] = [[], 0];
}

process.on("exit", flush);

// One entry: its name, the length of its text where that is not the length of the chunks, and the text.
exports.put = (name, length, chunks) => {
  const text = Buffer.concat(chunks);
  const bytes = Buffer.from(name);
  const head = Buffer.alloc(12 + bytes.length);
  head.writeUInt32LE(bytes.length);
  bytes.copy(head, 4);
  head.writeBigUInt64LE(BigInt(length ?? text.length), 4 + bytes.length);
  gathered.push(head, text);
  gatheredBytes += head.length + text.length;
  if (gatheredBytes > 1 << 20) flush();
};

exports.fail = (error) => {
  console.error(error);
  process.exit(1);
};
