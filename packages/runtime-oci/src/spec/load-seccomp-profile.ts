import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { z } from "zod";
import type { OciSeccomp } from "./oci-spec.ts";
import { readAtMost } from "./open-in-root.ts";
import { invalid } from "./spec-error.ts";

const maxProfileBytes = 1_024 * 1_024;

const errno = z.int().min(0).max(4_095).optional();
const action = z.enum([
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
]);
const argument = z.strictObject({
  index: z.int().min(0).max(5),
  value: z.int().min(0),
  valueTwo: z.int().min(0).optional(),
  op: z.enum([
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_EQ",
    "SCMP_CMP_GE",
    "SCMP_CMP_GT",
    "SCMP_CMP_MASKED_EQ",
  ]),
});
/** Fields that this does not know could weaken the profile when left out, so they are an error. */
const profileSchema = z.strictObject({
  defaultAction: action,
  defaultErrnoRet: errno,
  architectures: z
    .array(z.string().regex(/^SCMP_ARCH_[A-Z0-9_]+$/))
    .max(32)
    .optional(),
  flags: z
    .array(z.string().regex(/^SECCOMP_FILTER_FLAG_[A-Z_]+$/))
    .max(16)
    .optional(),
  syscalls: z
    .array(
      z.strictObject({
        names: z
          .array(z.string().regex(/^\w{1,64}$/))
          .min(1)
          .max(2_048),
        action,
        errnoRet: errno,
        args: z.array(argument).max(16).optional(),
      }),
    )
    .max(2_048)
    .optional(),
});

/**
 * Reads a seccomp profile: a JSON file in the form of the OCI specification's `linux.seccomp`. Profiles in Docker's form,
 * and those that hand decisions to another process, are refused.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR` when it is missing, too large, or not in that form
 */
export async function loadSeccompProfile(path: string): Promise<OciSeccomp> {
  const shown = JSON.stringify(path.slice(0, 256));
  if (!path.startsWith("/") || path.includes("\0")) {
    throw invalid(
      "seccomp.localhostRef",
      `The path of a seccomp profile begins with "/": ${shown}.`,
    );
  }
  const parsed = profileSchema.safeParse(await readJson(path, shown));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw invalid(
    "seccomp.localhostRef",
    `The seccomp profile ${shown} is not as it should be: ${issue?.path.join(".")}: ${issue?.message}`,
  );
}

async function readJson(path: string, shown: string): Promise<unknown> {
  const field = "seccomp.localhostRef";
  let text;
  try {
    // A FIFO without a writer must not hold this up.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) {
      throw invalid(field, `The seccomp profile ${shown} is not a regular file.`);
    }
    text = await readAtMost(file, maxProfileBytes, () =>
      invalid(field, `The seccomp profile ${shown} has more than ${maxProfileBytes} bytes.`),
    );
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code !== "VALIDATION_ERROR") {
      throw invalid(field, `The seccomp profile ${shown} cannot be read.`, error);
    }
    throw error;
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw invalid(field, `The seccomp profile ${shown} is not JSON.`, error);
  }
}
