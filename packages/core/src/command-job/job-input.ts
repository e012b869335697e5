import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LongshoreError } from "../errors/longshore-error.ts";
import type { HandlerContext } from "../handler/handler-context.ts";
import { encodeJobDocument } from "../job/codec.ts";
import type { JobRuntime } from "../job/job-document.ts";
import { stringify } from "yaml";
import { flatten, formatDotenv } from "./dotenv.ts";

/** What a process is given besides its arguments. */
export interface JobInput {
  /** Written to standard input, which is then closed; empty: closed at once */
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
}

export interface JobInputOptions {
  /** What the payload's schema made of `payload.data` */
  readonly payload: unknown;
  /** Where a file with the parameters is written. @default the work directory */
  readonly directory?: string | undefined;
  /** Path of that directory as the job sees it. @default the same */
  readonly shownAs?: string | undefined;
  /** Permissions of the file. @default 0o400 */
  readonly mode?: number | undefined;
}

/** Longest single string the kernel passes to a program (MAX_ARG_STRLEN), less the variable's name. */
const maxEnvBytes = 128 * 1_024 - 64;

/**
 * Standard input and parameters of a job. Parameters that are delivered by standard input take the place of
 * `runtime.input.stdin`.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` for two things on one standard input, `LIMIT_EXCEEDED`
 */
export async function jobInput(
  context: HandlerContext,
  runtime: JobRuntime,
  options: JobInputOptions,
): Promise<JobInput> {
  const { payload, directory = context.workDir, shownAs = directory, mode = 0o400 } = options;
  const { params, input } = runtime;
  if (params === undefined) {
    return { stdin: stdinText(context, input?.stdin ?? "payload"), env: {} };
  }
  const text = formatParams(payload, params.format);
  switch (params.delivery) {
    case "stdin":
      if (input?.stdin === "job") {
        throw new LongshoreError(
          "VALIDATION_ERROR",
          'runtime.input.stdin: is "job", but runtime.params are delivered by stdin too',
          { phase: "validation" },
        );
      }
      return { stdin: text, env: {} };
    case "file": {
      // A name that no file of the job has.
      const name = `.params-${randomBytes(6).toString("hex")}.${params.format}`;
      await writeFile(join(directory, name), text, { mode, flag: "wx" });
      return {
        stdin: stdinText(context, input?.stdin ?? "none"),
        env: { WORKER_PARAMS_FILE: join(shownAs, name) },
      };
    }
    case "env":
      return {
        stdin: stdinText(context, input?.stdin ?? "none"),
        env:
          params.format === "dotenv" ? paramVariables(payload) : bounded({ WORKER_PARAMS: text }),
      };
    default:
      return params.delivery satisfies never;
  }
}

function formatParams(data: unknown, format: "json" | "yaml" | "dotenv"): string {
  switch (format) {
    case "json":
      return `${JSON.stringify(data)}\n`;
    case "yaml":
      return stringify(data);
    case "dotenv":
      return formatDotenv(data);
    default:
      return format satisfies never;
  }
}

function stdinText(
  { document, attempt }: HandlerContext,
  wanted: "payload" | "job" | "none",
): string {
  switch (wanted) {
    case "none":
      return "";
    case "job":
      return `${JSON.stringify(document.original ?? encodeJobDocument(document))}\n`;
    case "payload": {
      // Not the whole job: audit data and signatures are none of its business.
      const { job_id, operation, payload } = encodeJobDocument(document);
      return `${JSON.stringify({ job_id, operation, payload, attempt })}\n`;
    }
    default:
      return wanted satisfies never;
  }
}

function paramVariables(data: unknown): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const [path, value] of flatten(data)) {
    const name = `WORKER_PARAM_${path.toUpperCase().replaceAll(/[^A-Z0-9]/g, "_")}`;
    if (Object.hasOwn(variables, name)) {
      throw new LongshoreError("VALIDATION_ERROR", `Two parameters would both be ${name}.`, {
        phase: "validation",
        details: { name },
      });
    }
    variables[name] = value;
  }
  return bounded(variables);
}

function bounded(variables: Record<string, string>): Record<string, string> {
  for (const [name, value] of Object.entries(variables)) {
    if (Buffer.byteLength(value) > maxEnvBytes) {
      throw new LongshoreError(
        "LIMIT_EXCEEDED",
        `The parameter ${name} does not fit into an environment variable; deliver it by file.`,
        { phase: "validation", details: { name, maxBytes: maxEnvBytes } },
      );
    }
  }
  return variables;
}
