/** What a job file says about itself, as far as it can be read. */
export interface JobPeek {
  readonly jobId?: string | undefined;
  readonly priority: number;
  readonly createdAt: string;
}

const defaultPriority = 5;

/** Looks into a job file: for its place in the order and its id, which the worker checks properly later. */
export function peek(body: Uint8Array, isJson: boolean): JobPeek | undefined {
  if (isJson && !endsLikeJson(body)) return undefined;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString();
  return isJson ? peekJson(text) : peekYaml(text);
}

/** A file that is being written is seldom cut behind a brace: most need no parsing to be known as incomplete. */
function endsLikeJson(body: Uint8Array): boolean {
  let last = body.byteLength - 1;
  while (last >= 0 && isJsonSpace(body[last])) last -= 1;
  return body[last] === closingBrace || body[last] === closingBracket;
}

const [closingBrace, closingBracket] = [0x7d, 0x5d];

function isJsonSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

function peekJson(text: string): JobPeek | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Not complete, or not JSON: the worker says which, once the file is stable.
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { job_id: jobId, created_at: createdAt, execution } = value as Record<string, unknown>;
  const priority =
    typeof execution === "object" && execution !== null && "priority" in execution
      ? execution.priority
      : undefined;
  return {
    ...(typeof jobId === "string" && { jobId }),
    priority: typeof priority === "number" ? priority : defaultPriority,
    createdAt: typeof createdAt === "string" ? createdAt : "",
  };
}

function peekYaml(text: string): JobPeek {
  const line = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  const jobId = line(/^job_id:[ \t]*["']?([^\s"'#]{1,128})/m);
  return {
    ...(jobId !== undefined && { jobId }),
    priority: Number(line(/^[ \t]+priority:[ \t]*(\d{1,2})/m) ?? defaultPriority),
    createdAt: line(/^created_at:[ \t]*["']?([^\s"'#]{1,40})/m) ?? "",
  };
}
