// Node's yauzl. Arguments: ARCHIVE LIMIT; the answer's form is told in tests/it/readers/tools.rs.
const yauzl = require("yauzl");
const { fail, put } = require("./answer.js");

const [path, limit] = [process.argv[2], Number(process.argv[3])];
yauzl.open(path, { lazyEntries: true, strictFileNames: true }, (error, zip) => {
  if (error) fail(error);
  zip.on("error", fail);
  zip.on("entry", (entry) => {
    if (entry.uncompressedSize > limit) {
      put(entry.fileName, entry.uncompressedSize, []);
      return zip.readEntry();
    }
    zip.openReadStream(entry, (error, text) => {
      if (error) fail(error);
      const chunks = [];
      text.on("error", fail);
      text.on("data", (chunk) => chunks.push(chunk));
      text.on("end", () => {
        put(entry.fileName, null, chunks);
        zip.readEntry();
      });
    });
  });
  zip.readEntry();
});
