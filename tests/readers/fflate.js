// Node's fflate. Arguments: "stream" (its Unzip on standard input) or "whole" (unzipSync), ARCHIVE LIMIT; the answer's
// form is told in tests/it/readers/tools.rs.
const fs = require("fs");
const fflate = require("fflate");
const { fail, put } = require("./answer.js");

const [way, path, limit] = [process.argv[2], process.argv[3], Number(process.argv[4])];

function stream() {
  const unzip = new fflate.Unzip((file) => {
    const chunks = [];
    let length = 0;
    file.ondata = (error, chunk, isLast) => {
      if (error) fail(error);
      length += chunk.length;
      if (length <= limit) chunks.push(chunk);
      if (isLast) put(file.name, length, length <= limit ? chunks : []);
    };
    file.start();
  });
  unzip.register(fflate.UnzipInflate);
  const chunk = Buffer.alloc(1 << 16);
  for (let read; (read = fs.readSync(0, chunk)) > 0; ) unzip.push(new Uint8Array(chunk.subarray(0, read)));
  unzip.push(new Uint8Array(0), true);
}

if (way === "stream") {
  stream();
} else {
  for (const [name, text] of Object.entries(fflate.unzipSync(fs.readFileSync(path)))) put(name, null, [text]);
}
