import type { Abortable } from "@longshore/core";
import { isLongshoreError } from "@longshore/core/errors";
import { delay } from "../abort.ts";
import type { Descriptor } from "../manifest.ts";
import { pullFailed } from "../registry-errors.ts";
import { connectionError } from "./http-exchange.ts";
import { requestBlob, type BlobHost, type BytesWanted } from "./request-blob.ts";
import { retryDelay } from "./retry.ts";

/** After so many new bytes a broken connection counts as the first one again. */
const progressBytes = 1_024 * 1_024;

/**
 * Bytes of a blob out of the first host that has it. A connection that breaks or stalls is continued where it broke, at
 * the next host when there are several. Never yields more bytes than wanted, except when the server's blob is too long.
 */
export async function* streamBlob(
  hosts: readonly BlobHost[],
  descriptor: Descriptor,
  wanted: BytesWanted & Abortable,
): AsyncGenerator<Buffer, void, undefined> {
  const { end, signal } = wanted;
  let position = wanted.start;
  let failures = 0;
  let progress = 0;
  /** Hosts that cannot help with this blob, whatever is tried */
  const useless = new Set<BlobHost>();
  for (let turn = 0; position < end || turn === 0; turn += 1) {
    const usable = hosts.filter((host) => !useless.has(host));
    const host = usable[turn % usable.length];
    if (host === undefined)
      throw pullFailed(`No registry is left to read ${descriptor.digest} from.`);
    try {
      const before = position;
      for await (const chunk of requestBlob(host, descriptor, { start: position, end, signal })) {
        position += chunk.length;
        progress += chunk.length;
        if (progress >= progressBytes) {
          progress = 0;
          failures = 0;
        }
        yield chunk;
      }
      if (position < end) {
        throw pullFailed(
          `${host.repository.url.host} ended ${descriptor.digest} after ${position - before} bytes.`,
        );
      }
      return;
    } catch (error) {
      signal?.throwIfAborted();
      const failure = connectionError(error, host.repository.url);
      const isLast = usable.length === 1;
      if (!isLast && (!isLongshoreError(failure) || !failure.retryable)) {
        useless.add(host);
        continue;
      }
      failures += 1;
      const waitMs = retryDelay(failure, failures, { ...host.repository.context.settings, signal });
      if (waitMs === undefined) throw failure;
      await delay(waitMs, signal);
    }
  }
}
