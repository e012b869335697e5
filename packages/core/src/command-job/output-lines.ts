import type { Readable } from "node:stream";
import { StringDecoder } from "node:string_decoder";

/** Characters of a line that are passed on; the rest of it is left out. */
const maxLineLength = 2_000;

/** Calls back for each line of a stream that is not blank, also for a last one without an end. */
export function onLine(stream: Readable, report: (line: string) => void): void {
  const decoder = new StringDecoder("utf8");
  let line = "";

  function finish(): void {
    const text = line.trimEnd();
    line = "";
    if (text !== "") report(text);
  }

  function append(text: string): void {
    const room = maxLineLength - line.length;
    if (room > 0) line += text.slice(0, room);
  }

  stream.on("data", (chunk: Buffer) => {
    const text = decoder.write(chunk);
    let start = 0;
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", start)) {
      append(text.slice(start, Math.min(end, start + maxLineLength)));
      finish();
      start = end + 1;
    }
    append(text.slice(start, start + maxLineLength));
  });
  stream.once("end", () => {
    append(decoder.end());
    finish();
  });
}
