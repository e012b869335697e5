import Table from "cli-table3";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes, formatPercent } from "../../format-bytes.ts";
import { openTerminal } from "../../terminal.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";

/** Shows what two images have in common, by the chunks of their files. */
export async function diffImages(
  first: string,
  second: string,
  flags: ImageFlags,
): Promise<number> {
  const terminal = openTerminal(flags);
  await using store = await openImageStore(flags);
  const difference = await store.diff(first, second);
  const { sharedChunks, sharedBytes } = difference;
  const { firstOnlyChunks, firstOnlyBytes, secondOnlyChunks, secondOnlyBytes } = difference;
  if (terminal.isJson) {
    terminal.printJson({
      shared_chunks: sharedChunks,
      shared_bytes: sharedBytes,
      first_only_chunks: firstOnlyChunks,
      first_only_bytes: firstOnlyBytes,
      second_only_chunks: secondOnlyChunks,
      second_only_bytes: secondOnlyBytes,
    });
    return exitCodes.ok;
  }
  const table = new Table({
    head: ["", "chunks", "bytes", `of ${first}`, `of ${second}`],
    colAligns: ["left", "right", "right", "right", "right"],
  });
  const ofFirst = (bytes: number): string => formatPercent(bytes, sharedBytes + firstOnlyBytes);
  const ofSecond = (bytes: number): string => formatPercent(bytes, sharedBytes + secondOnlyBytes);
  table.push(
    [
      "in both",
      sharedChunks,
      formatBytes(sharedBytes),
      ofFirst(sharedBytes),
      ofSecond(sharedBytes),
    ],
    [`only in ${first}`, firstOnlyChunks, formatBytes(firstOnlyBytes), ofFirst(firstOnlyBytes), ""],
    [
      `only in ${second}`,
      secondOnlyChunks,
      formatBytes(secondOnlyBytes),
      "",
      ofSecond(secondOnlyBytes),
    ],
  );
  terminal.print(table.toString());
  return exitCodes.ok;
}
