import { LongshoreError } from "@longshore/core";
import type { NydusImageStore, PushAccess, PushedImage } from "@longshore/image-nydus";
import { formatReference, parseReference } from "@longshore/image-nydus/registry";
import pc from "picocolors";
import { exitCodes } from "../../exit-codes.ts";
import { formatBytes } from "../../format-bytes.ts";
import { interruptible } from "../../interruptible.ts";
import { openTerminal } from "../../terminal.ts";
import { byteProgressDisplay } from "./byte-progress.ts";
import { readCredentials, type CredentialFlags } from "./credentials.ts";
import { openImageStore, type ImageFlags } from "./image-store.ts";
import type { attachments, chunkCompressions, layerCompressions } from "./image-choices.ts";
import { shortId } from "./short-id.ts";

export interface PushFlags extends ImageFlags, CredentialFlags {
  readonly compression?: (typeof layerCompressions)[number];
}

export interface ConvertFlags extends ImageFlags, CredentialFlags {
  readonly compression?: (typeof chunkCompressions)[number];
  readonly attach?: (typeof attachments)[number];
}

/** What is pushed where. */
interface Destination {
  readonly ref: string;
  /** Absent: the name by which the image was meant */
  readonly target?: string | undefined;
}

/** Pushes an image of the store as an ordinary one, of one layer. */
export function pushImage({ ref, target }: Destination, flags: PushFlags): Promise<number> {
  const { compression } = flags;
  return push(flags, async (store, access) =>
    store.push(ref, target ?? (await ownName(store, ref)), { ...access, compression }),
  );
}

/** Pushes an image of the store such that it can be loaded on demand. */
export function convertImage(
  { ref, target }: { readonly ref: string; readonly target: string },
  flags: ConvertFlags,
): Promise<number> {
  const { compression, attach } = flags;
  return push(flags, (store, access) =>
    store.convert(ref, target, { ...access, compression, attach }),
  );
}

async function push(
  flags: ImageFlags & CredentialFlags,
  send: (store: NydusImageStore, access: PushAccess) => Promise<PushedImage>,
): Promise<number> {
  const terminal = openTerminal(flags);
  const auth = await readCredentials(flags);
  return interruptible(async (signal) => {
    await using store = await openImageStore(flags);
    let packedBytes = 0;
    const { name, digest, manifestDigest } = await pushShown();
    if (terminal.isJson) {
      const sizes = { packed_bytes: packedBytes };
      terminal.printJson({ name, digest, manifest_digest: manifestDigest, ...sizes });
    } else {
      const size = `${formatBytes(packedBytes)} packed`;
      terminal.print(`${pc.green("✓")} ${name}  ${pc.bold(shortId(digest))}  ${size}`);
    }
    return exitCodes.ok;

    async function pushShown(): Promise<PushedImage> {
      using display = byteProgressDisplay(terminal, flags.json === true);
      return await send(store, {
        auth,
        signal,
        onProgress: ({ phase, doneBytes, totalBytes }) => {
          if (phase === "upload") packedBytes = totalBytes;
          if (phase !== "done") display.show({ step: phase, doneBytes, totalBytes });
        },
      });
    }
  });
}

/** An id names no registry, however much its beginning looks like a name. */
async function ownName(store: NydusImageStore, ref: string): Promise<string> {
  const { names } = await store.inspect(ref);
  const isId = /^(sha256:)?[0-9a-f]{64}$/.test(ref);
  if (!isId && names.includes(formatReference(parseReference(ref)))) return ref;
  throw new LongshoreError("CONFIG_ERROR", `${ref} is no name of the image: say where to push it.`);
}
