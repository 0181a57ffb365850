// What the drivers for Node answer in; its form is told in tests/it/readers/tools.rs.
const fs = require("fs");

function write(bytes) {
  for (let at = 0; at < bytes.length; ) at += fs.writeSync(1, bytes, at);
}

// One entry: its name, the length of its text where that is not the length of the chunks, and the text.
exports.put = (name, length, chunks) => {
  const text = Buffer.concat(chunks);
  const bytes = Buffer.from(name);
  const head = Buffer.alloc(12 + bytes.length);
  head.writeUInt32LE(bytes.length);
  bytes.copy(head, 4);
  head.writeBigUInt64LE(BigInt(length ?? text.length), 4 + bytes.length);
  write(head);
  write(text);
};

exports.fail = (error) => {
  console.error(error);
  process.exit(1);
};
