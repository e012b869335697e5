import pc from "picocolors";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal } from "../../terminal.ts";
import { readCredentials, type CredentialFlags } from "./credentials.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import { pullDisplay } from "./pull-display.ts";
import { shortId } from "./short-id.ts";

export interface PullFlags extends ImageFlags, CredentialFlags {
  readonly platform?: string;
  readonly onDemand: boolean;
}

/** Brings an image into the store and tells what came. */
export async function pullImage(source: string, flags: PullFlags): Promise<number> {
  const terminal = openTerminal(flags);
  const auth = await readCredentials(flags);
  return interruptible(async (signal) => {
    const { platform, onDemand } = flags;
    await using store = await openImageStore(flags, { platform, onDemand });
    let receivedBytes = 0;
    let wasFetched = false;
    const imageId = await pullShown();
    const { record, names, isOnDemand } = await store.inspect(imageId);
    const usage = (await store.diskUsage()).images.find((image) => image.imageId === imageId);
    const ownBytes = usage?.ownBytes ?? 0;
    if (terminal.isJson) {
      terminal.printJson({
        image_id: imageId,
        names,
        manifest_digest: record.manifestDigest,
        received_bytes: receivedBytes,
        logical_bytes: record.logicalSize,
        own_bytes: ownBytes,
        shared_bytes: usage?.sharedBytes ?? 0,
        inode_count: record.inodeCount,
        on_demand: isOnDemand,
      });
      return exitCodes.ok;
    }
    const name = names.find((known) => !known.includes("@")) ?? names[0] ?? source;
    const size = `${formatBytes(record.logicalSize)} in ${record.inodeCount} inodes`;
    const stored = isOnDemand
      ? "fetched when they are read"
      : `${formatBytes(ownBytes)} stored for it alone${wasFetched ? "" : ", was here already"}`;
    terminal.print(`${pc.green("✓")} ${name}  ${pc.bold(shortId(imageId))}  ${size}, ${stored}`);
    return exitCodes.ok;

    async function pullShown(): Promise<string> {
      using display = pullDisplay(terminal, flags.json === true);
      return await store.pullImage(
        { image: { image: source }, auth },
        {
          signal,
          onProgress: (progress) => {
            receivedBytes = Math.max(receivedBytes, progress.receivedBytes);
            wasFetched ||= progress.phase === "download";
            display.show(progress);
          },
        },
      );
    }
  });
}
