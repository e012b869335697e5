import { encodeJobResult, LongshoreError, toJobError, type JobResult } from "@longshore/core";

/** Characters of an output that are left when a result is too long */
const leftOfOutput = 65_536;

/**
 * The wire form of a result in at most so many bytes. Of one that is longer the outputs are cut; one that still is longer
 * becomes a failure that says so: a master that refused it would have the job run again.
 */
export function fitResult(result: JobResult, maxBytes: number): object {
  const whole = encodeJobResult(result);
  if (isShort(whole, maxBytes)) return whole;
  const cut = encodeJobResult({ ...result, ...cutOutput(result) });
  if (isShort(cut, maxBytes)) return cut;
  const { data: _data, stdout: _out, stderr: _err, outputs: _outputs, ...rest } = result;
  const error = toJobError(
    new LongshoreError(
      "LIMIT_EXCEEDED",
      `The job ended as ${result.status}, but the master takes results of ${maxBytes} bytes only.`,
      { details: { maxBytes, status: result.status } },
    ),
  );
  return encodeJobResult({ ...rest, status: "failed", error });
}

function isShort(wire: object, maxBytes: number): boolean {
  return Buffer.byteLength(JSON.stringify(wire)) <= maxBytes;
}

function cutOutput(result: JobResult): Partial<JobResult> {
  const { stdout = "", stderr = "" } = result;
  return {
    ...(stdout.length > leftOfOutput && {
      stdout: head(stdout),
      stdoutTruncated: true,
      stdoutBytesTruncated: (result.stdoutBytesTruncated ?? 0) + lostBytes(stdout),
    }),
    ...(stderr.length > leftOfOutput && {
      stderr: head(stderr),
      stderrTruncated: true,
      stderrBytesTruncated: (result.stderrBytesTruncated ?? 0) + lostBytes(stderr),
    }),
  };
}

/** The beginning, without half a character at its end. */
function head(text: string): string {
  const cut = text.slice(0, leftOfOutput);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}

function lostBytes(text: string): number {
  return Buffer.byteLength(text) - Buffer.byteLength(head(text));
}
