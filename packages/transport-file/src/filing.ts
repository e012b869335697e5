import { join, parse } from "node:path";
import {
  encodeJobError,
  encodeJobResult,
  hasCode,
  type JobError,
  type JobResult,
} from "@longshore/core";
import { leaseLost, type Claim } from "./claims.ts";
import type { DurableFiles } from "./durable-files.ts";
import type { FileCalls } from "./file-calls.ts";
import { resultPath, type Layout } from "./layout.ts";
import { placeFile, type Placed } from "./place-file.ts";

export interface FilingOptions {
  readonly layout: Layout;
  readonly calls: FileCalls;
  readonly files: DurableFiles;
}

/**
 * Puts answers where clients find them, and then the claimed file away. The claim goes last, when the answer is on the disk:
 * a worker that dies before finds it again, and everything is written once more under the same names.
 */
export interface Filing {
  /** @throws {LongshoreError} `LEASE_LOST`, `VALIDATION_ERROR` for a result whose job id is none */
  answer(claim: Claim, result: JobResult): Promise<void>;
  /**
   * Moves a job file that came to nothing to `failed/`, with the reason for people and for programs beside it.
   *
   * @throws {LongshoreError} `LEASE_LOST`
   */
  refuse(claim: Claim, error: JobError): Promise<void>;
}

const reasonEnding = ".reason.txt";
const errorEnding = ".error.json";

export function openFiling({ layout, calls, files }: FilingOptions): Filing {
  async function refuse(claim: Claim, error: JobError): Promise<void> {
    const { name, isMoved } = await place(claim, layout.failed, [reasonEnding, errorEnding]);
    const stem = join(layout.failed, parse(name).name);
    await files.write(`${stem}${reasonEnding}`, `${error.code}: ${error.message}\n`);
    await files.write(`${stem}${errorEnding}`, toText(encodeJobError(error)));
    if (!isMoved) await release(claim);
  }

  /** Gives the file its name in the directory. */
  async function place(
    { path, name }: Claim,
    directory: string,
    companions: readonly string[],
  ): Promise<Placed> {
    try {
      return await placeFile(path, { calls, directory, name, companions });
    } catch (error) {
      throw await asLost(path, name, error);
    }
  }

  async function release({ path, name }: Claim): Promise<void> {
    try {
      await calls.unlink(path);
    } catch (error) {
      throw await asLost(path, name, error);
    }
  }

  /** What an error means: that the claim went to another worker, or only itself. */
  async function asLost(path: string, name: string, error: unknown): Promise<unknown> {
    if (!hasCode(error, "ENOENT")) return error;
    try {
      await calls.lstat(path);
      return error;
    } catch {
      return leaseLost(name);
    }
  }

  return {
    refuse,
    async answer(claim, result) {
      const path = resultPath(layout.results, result.jobId);
      await files.write(path, toText(encodeJobResult(result)));
      if (result.error !== undefined) {
        await refuse(claim, result.error);
        return;
      }
      const { isMoved } = await place(claim, layout.done, []);
      if (!isMoved) await release(claim);
    },
  };
}

function toText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
