import { isLongshoreError, type JobTransport } from "@longshore/core";
import type { Claim } from "./claims.ts";
import { durableFiles } from "./durable-files.ts";
import { directCalls, threadedCalls } from "./file-calls.ts";
import { resolveOptions, type FileTransportOptions } from "./file-transport-options.ts";
import { openFiling } from "./filing.ts";
import { toTransportError } from "./fs-error.ts";
import { HeldClaims } from "./held-claims.ts";
import { checkWritable, layoutOf } from "./layout.ts";
import { openLeasing, type Leasing } from "./leasing.ts";
import { progressFiles } from "./progress-file.ts";

/**
 * Jobs as files in a directory. The protocol is described in `docs/protocols/file-transport.md`.
 *
 * @throws {RangeError} for a number that makes no sense
 */
export function fileTransport(transportOptions: FileTransportOptions): JobTransport {
  const options = resolveOptions(transportOptions);
  const { name, leaseMs, logger } = options;
  const layout = layoutOf(options.jobsDir, options.resultsDir);
  const calls = options.usePolling ? threadedCalls : directCalls;
  const files = durableFiles(calls);
  const filing = openFiling({ layout, calls, files });
  const held = new HeldClaims();
  const progress = options.progressFile
    ? progressFiles(options.resultsDir, (error) => {
        warn(error, "progress not written");
      })
    : undefined;
  let leasing: Leasing | undefined;

  function warn(error: unknown, message: string): void {
    logger.warn({ err: error, transport: name }, message);
  }

  /**
   * Runs an operation on a claim that begins with a new lease: nobody takes the file over meanwhile. A lost one is
   * forgotten; errors of the file system become the transport's.
   */
  async function withClaim(
    claim: Claim,
    message: string,
    operation: (leasing: Leasing) => Promise<void>,
  ): Promise<void> {
    if (leasing === undefined) throw new Error("the transport was not started");
    try {
      await leasing.claims.touch(claim);
      await operation(leasing);
    } catch (error) {
      if (isLongshoreError(error, "LEASE_LOST")) forget(claim);
      throw toTransportError(error, message);
    }
  }

  function forget(claim: Claim): void {
    held.forget(claim);
    leasing?.claims.letGo(claim.leaseId);
  }

  return {
    name,
    leaseMs,
    async start(sink, { workerId, signal }) {
      signal?.throwIfAborted();
      const opening = openLeasing({
        options,
        layout,
        calls,
        files,
        held,
        sink,
        workerId,
        refuse: filing.refuse,
        warn,
      });
      leasing = opening;
      try {
        await opening.start();
        signal?.throwIfAborted();
      } catch (error) {
        await opening[Symbol.asyncDispose]();
        if (signal?.aborted === true) throw signal.reason;
        throw toTransportError(error, `The jobs directory ${layout.jobs} cannot be used`);
      }
    },
    async pause() {
      await leasing?.pause();
    },
    async ack(leaseId, result) {
      if (held.wasAnswered(leaseId)) return;
      const claim = held.get(leaseId);
      await withClaim(claim, `The answer to ${claim.name} could not be written`, () =>
        filing.answer(claim, result),
      );
      forget(claim);
      held.noteAnswered(claim);
    },
    async nack(leaseId, error, { requeue, delayMs = 0, countAttempt = true }) {
      const claim = held.get(leaseId);
      await withClaim(
        claim,
        `${claim.name} could not be given back`,
        async ({ claims, considerReturned }) => {
          if (!requeue) {
            await filing.refuse(claim, error);
            return;
          }
          const at = new Date(Date.now() + delayMs);
          const attempt = claim.attempt + Number(countAttempt);
          considerReturned(await claims.giveBack(claim, attempt, at));
        },
      );
      forget(claim);
    },
    async extend(leaseId) {
      const claim = held.get(leaseId);
      await withClaim(claim, `The lease of ${claim.name} could not be extended`, () =>
        Promise.resolve(),
      );
    },
    publishEvent(_leaseId, event) {
      progress?.add(event);
    },
    async health() {
      for (const path of [layout.jobs, layout.results]) {
        try {
          await checkWritable(path);
        } catch (error) {
          return { status: "unhealthy", message: toTransportError(error, path).message };
        }
      }
      return { status: "ok" };
    },
    async [Symbol.asyncDispose]() {
      await leasing?.pause();
      await progress?.flush();
      await leasing?.[Symbol.asyncDispose]();
    },
  };
}
