import type {
  BlobProblem,
  RepairedImage,
  StoreReport,
  VerifyOptions,
} from "@longshore/image-nydus";
import pc from "picocolors";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal, type Terminal } from "../../terminal.ts";
import { byteProgressDisplay } from "./byte-progress.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { shortId } from "./short-id.ts";

export interface VerifyFlags extends ImageFlags {
  readonly repair?: boolean;
}

/** Reads everything in the store again; with `repair` broken images are fetched again. Fails while anything is broken. */
export function verifyImages(flags: VerifyFlags): Promise<number> {
  const terminal = openTerminal(flags);
  return interruptible(async (signal) => {
    await using store = await openImageStore(flags);
    if (flags.repair !== true) {
      const report = await shown((options) => store.verify(options));
      if (terminal.isJson) terminal.printJson(toJson(report));
      else printReport(terminal, report);
      return report.problems.length === 0 ? exitCodes.ok : exitCodes.failed;
    }
    const { found, images } = await shown((options) => store.repair(options));
    if (terminal.isJson) {
      terminal.printJson({
        ...toJson(found),
        repaired: images.map(({ imageId, origin, problem }) => ({
          image_id: imageId,
          origin,
          ...(problem !== undefined && { problem }),
        })),
      });
    } else {
      printReport(terminal, found);
      for (const image of images) printRepair(terminal, image);
    }
    return images.every(({ problem }) => problem === undefined) ? exitCodes.ok : exitCodes.failed;

    async function shown<T>(task: (options: VerifyOptions) => Promise<T>): Promise<T> {
      using display = byteProgressDisplay(terminal, flags.json === true);
      return await task({
        signal,
        onProgress: ({ checkedBytes: doneBytes, totalBytes }) => {
          display.show({ step: "verify", doneBytes, totalBytes });
        },
      });
    }
  });
}

function toJson({ checkedBlobs, checkedBytes, problems }: StoreReport): object {
  return {
    ok: problems.length === 0,
    checked_files: checkedBlobs,
    checked_bytes: checkedBytes,
    problems: problems.map(({ blobId, kind, problem, message, images }) => ({
      blob_id: blobId,
      kind,
      problem,
      message,
      images,
    })),
  };
}

function printReport(terminal: Terminal, report: StoreReport): void {
  const { checkedBlobs, checkedBytes, problems } = report;
  for (const problem of problems) printProblem(terminal, problem);
  const outcome =
    problems.length === 0 ? pc.green("all well") : pc.red(`${problems.length} broken`);
  terminal.print(`${checkedBlobs} files, ${formatBytes(checkedBytes)} checked: ${outcome}`);
}

function printProblem(terminal: Terminal, problem: BlobProblem): void {
  const { blobId, kind, problem: what, message, images } = problem;
  const used = images.length === 0 ? "" : `; needed by ${images.map(shortId).join(", ")}`;
  terminal.print(`${pc.red("✗")} ${kind} ${shortId(blobId)} ${what}: ${message}${used}`);
}

function printRepair(terminal: Terminal, { imageId, origin, problem }: RepairedImage): void {
  const mark = problem === undefined ? pc.green("✓") : pc.red("✗");
  const what = problem === undefined ? `fetched again from ${origin}` : problem;
  terminal.print(`${mark} ${shortId(imageId)} ${what}`);
}
