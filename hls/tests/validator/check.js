// Reads playlists from the files named on the command line with hls-parser in strict mode; prints one line per file
// that it refuses, and one JSON line with what it understood of the last.
"use strict";
const fs = require("node:fs");
const HLS = require("hls-parser");

HLS.setOptions({ strictMode: true });
let refused = 0;
let last = null;
for (const file of process.argv.slice(2)) {
  try {
    last = HLS.parse(fs.readFileSync(file, "utf8"));
  } catch (error) {
    refused += 1;
    console.error(`${file}: ${error.message}`);
  }
}
if (last !== null && !last.isMasterPlaylist) {
  const segments = last.segments ?? [];
  console.log(
    JSON.stringify({
      segments: segments.length,
      parts: segments.flatMap((segment) => segment.parts ?? []).length,
      hints: (last.prefetchSegments ?? []).length,
      partTarget: last.partTargetDuration ?? null,
      target: last.targetDuration,
      sequence: last.mediaSequenceBase,
      ended: last.endlist,
    }),
  );
}
process.exitCode = refused === 0 ? 0 : 1;
