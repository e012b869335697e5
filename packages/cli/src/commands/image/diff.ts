import { exitCodes } from "../../exit-codes.ts";
import { formatBytes, formatPercent } from "../../format-bytes.ts";
import { resultTable, type Column } from "../../result-table.ts";
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
  const ofFirst = (bytes: number): string => formatPercent(bytes, sharedBytes + firstOnlyBytes);
  const ofSecond = (bytes: number): string => formatPercent(bytes, sharedBytes + secondOnlyBytes);
  const columns: readonly Column[] = [
    { head: "" },
    { head: "chunks", align: "right" },
    { head: "bytes", align: "right" },
    { head: `of ${first}`, align: "right" },
    { head: `of ${second}`, align: "right" },
  ];
  const row = (head: string, chunks: number, bytes: number): [string, number, string] => [
    head,
    chunks,
    formatBytes(bytes),
  ];
  terminal.print(
    resultTable(columns, [
      [...row("in both", sharedChunks, sharedBytes), ofFirst(sharedBytes), ofSecond(sharedBytes)],
      [...row(`only in ${first}`, firstOnlyChunks, firstOnlyBytes), ofFirst(firstOnlyBytes), ""],
      [
        ...row(`only in ${second}`, secondOnlyChunks, secondOnlyBytes),
        "",
        ofSecond(secondOnlyBytes),
      ],
    ]),
  );
  return exitCodes.ok;
}
