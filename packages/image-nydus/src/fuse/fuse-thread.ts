import { parentPort, workerData } from "node:worker_threads";
import { localBlobReader } from "../mount/local-blob-reader.ts";
import { loadFilesystem, type FilesystemSource } from "./filesystem-source.ts";
import { fuseSession, sharedAgreement, type DataRead } from "./fuse-session.ts";
import { serveRequests } from "./serve-requests.ts";

/** What a thread of a mount is started with. */
export interface FuseThreadData {
  readonly device: number;
  readonly filesystem: FilesystemSource;
  /** Directory of local blobs; absent: the starter answers reads */
  readonly blobDirectory: string | undefined;
  /** Open files of local blobs */
  readonly heldBlobs: ReadonlyMap<string, number>;
  /** Shared by the threads of the mount */
  readonly agreement: Int32Array;
}

/** What a thread tells its starter. */
export type FuseThreadMessage =
  /** The metadata is open; the thread waits for a message before it serves */
  | { readonly kind: "loaded" }
  | { readonly kind: "ready" }
  | { readonly kind: "interrupt"; readonly unique: bigint }
  | { readonly kind: "error"; readonly nid: number; readonly error: unknown }
  | DataRead;

if (parentPort !== null) await runThread(workerData as FuseThreadData, parentPort);

async function runThread(
  data: FuseThreadData,
  port: NonNullable<typeof parentPort>,
): Promise<void> {
  const filesystem = await loadFilesystem(data.filesystem);
  const tell = (message: FuseThreadMessage): void => {
    port.postMessage(message);
  };
  // Copies of errors lose their class and code on the way, so they are taken apart here.
  const tellError = (error: unknown, nid: number): void => {
    tell({ kind: "error", nid, error: flatError(error) });
  };
  const started = new Promise<unknown>((resolve) => {
    port.once("message", resolve);
  });
  tell({ kind: "loaded" });
  if ((await started) !== "serve") return;
  const session = fuseSession(filesystem, sharedAgreement(data.agreement), {
    onReady: () => {
      tell({ kind: "ready" });
    },
    onError: tellError,
  });
  using blobs =
    data.blobDirectory === undefined
      ? undefined
      : localBlobReader(data.blobDirectory, data.heldBlobs);
  serveRequests({
    device: data.device,
    session,
    blobs,
    onRead: tell,
    onInterrupt: (unique) => {
      tell({ kind: "interrupt", unique });
    },
    onReadError: (error, read) => {
      tellError(error, read.nid);
    },
  });
}

function flatError(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const code = "code" in error ? error.code : undefined;
  return {
    message: error.message,
    ...(typeof code === "string" && { code }),
    ...(error.cause instanceof Error && { cause: error.cause.message }),
  };
}
