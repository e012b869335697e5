import type {
  BlobProblem,
  RepairedImage,
  StoreReport,
  VerifyOptions,
} from "@longshore/image-nydus";
import { createLogUpdate } from "log-update";
import pc from "picocolors";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal, progressBar, type Terminal } from "../../terminal.ts";
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
    using progress = verifyProgress(terminal);
    const options: VerifyOptions = { signal, onProgress: progress.show };
    if (flags.repair !== true) {
      const report = await store.verify(options);
      progress.clear();
      if (terminal.isJson) terminal.printJson(toJson(report));
      else printReport(terminal, report);
      return report.problems.length === 0 ? exitCodes.ok : exitCodes.failed;
    }
    const { found, images } = await store.repair(options);
    progress.clear();
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
  });
}

interface VerifyDisplay extends Disposable {
  readonly show: NonNullable<VerifyOptions["onProgress"]>;
  clear(): void;
}

function verifyProgress(terminal: Terminal): VerifyDisplay {
  const live = terminal.isLive ? createLogUpdate(process.stderr) : undefined;
  const clear = (): void => {
    live?.clear();
    // Shows the cursor again.
    live?.done();
  };
  return {
    show({ checkedBytes, totalBytes }) {
      const percent = totalBytes === 0 ? 100 : (checkedBytes / totalBytes) * 100;
      live?.(
        `${progressBar(percent)}  ${formatBytes(checkedBytes)} of ${formatBytes(totalBytes)} checked`,
      );
    },
    clear,
    [Symbol.dispose]: clear,
  };
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
