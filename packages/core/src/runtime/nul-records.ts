import { LongshoreError } from "../errors/longshore-error.ts";

const maxRecordBytes = 16_777_216;

/**
 * Texts that each end with NUL; what comes after the last NUL is left out.
 *
 * @throws {LongshoreError} `LIMIT_EXCEEDED` for one of more than 16 MiB
 */
export async function* nulRecords(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<string, undefined> {
  let begun: Uint8Array[] = [];
  let begunBytes = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let end = chunk.indexOf(0); end !== -1; end = chunk.indexOf(0, start)) {
      yield Buffer.concat([...begun, chunk.subarray(start, end)]).toString("utf8");
      begun = [];
      begunBytes = 0;
      start = end + 1;
    }
    if (start < chunk.length) {
      begun.push(chunk.subarray(start));
      begunBytes += chunk.length - start;
    }
    if (begunBytes > maxRecordBytes) {
      throw new LongshoreError("LIMIT_EXCEEDED", "There is too much at the path to watch it.", {
        details: { maxBytes: maxRecordBytes },
      });
    }
  }
}
