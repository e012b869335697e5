import { constants } from "node:fs";
import { open, realpath, type FileHandle } from "node:fs/promises";
import { join } from "node:path";
import {
  hasCode,
  LongshoreError,
  assertArtifactPath,
  type Artifact,
  type JobRecord,
} from "@longshore/core";
import { jobOf, type ApiContext } from "../api-context.ts";
import { jsonAnswer, type ApiRequest, type ApiRoute } from "../api-route.ts";
import { keptEventsOf } from "../jobs/kept-events.ts";
import { jobLocation } from "../jobs/wire-job.ts";
import { byteRange } from "../jobs/byte-range.ts";
import { errors, jobIdParameter, json } from "./descriptions.ts";

/** `GET /jobs/{id}/artifacts[/{path}]`: the files that a job made. */
export function artifactRoutes(context: ApiContext): readonly ApiRoute[] {
  return [
    {
      method: "GET",
      path: "/jobs/{id}/artifacts",
      access: "route",
      description: {
        operationId: "listArtifacts",
        summary: "The files that a job made",
        tag: "jobs",
        parameters: [jobIdParameter],
        responses: {
          "200": { description: "The files", content: json("ArtifactList") },
          ...errors(400, 404, 410),
        },
      },
      async handle(request) {
        const record = await jobOf(context, request, "query");
        const base = `${jobLocation(record.jobId)}/artifacts`;
        const artifacts = await artifactsOf(context, record);
        return jsonAnswer(200, {
          job_id: record.jobId,
          artifacts: artifacts.map(({ path, size, sha256, mediaType }) => ({
            path,
            size,
            sha256,
            media_type: mediaType,
            location: `${base}/${path.split("/").map(encodeURIComponent).join("/")}`,
          })),
        });
      },
    },
    {
      method: "GET",
      path: "/jobs/{id}/artifacts/{path+}",
      access: "route",
      description: {
        operationId: "readArtifact",
        summary: "A file that a job made, or a range of it",
        tag: "jobs",
        parameters: [
          jobIdParameter,
          { name: "path", in: "path", description: "Path below the job's artifacts" },
          { name: "Range", in: "header", description: "One range of bytes" },
        ],
        responses: {
          "200": { description: "The file", content: binary },
          "206": { description: "The range", content: binary },
          ...errors(400, 404, 410, 416),
        },
      },
      handle: (request) => readArtifact(context, request),
    },
  ];
}

const binary = {
  "application/octet-stream": { schema: { type: "string", contentEncoding: "binary" } },
} as const;

async function readArtifact(context: ApiContext, request: ApiRequest) {
  const record = await jobOf(context, request, "query");
  const { path = "" } = request.params;
  assertArtifactPath(path);
  const known = (await artifactsOf(context, record)).find((artifact) => artifact.path === path);
  // Only what the job handed in: its directory may hold what is being written.
  const handle = known === undefined ? undefined : await openArtifact(context, record.jobId, path);
  if (handle === undefined || known === undefined) {
    throw new LongshoreError("NOT_FOUND", `Job ${record.jobId} has no artifact of that path.`);
  }
  try {
    const { size } = await handle.stat();
    const etag = `"${known.sha256}"`;
    const headers = {
      // What a job made is its own: a browser must not run it in this origin.
      "content-type": known.mediaType ?? "application/octet-stream",
      "content-disposition": `attachment; filename*=UTF-8''${encodeURIComponent(path.split("/").at(-1) ?? path)}`,
      "content-security-policy": "sandbox",
      "accept-ranges": "bytes",
      "cache-control": "no-cache",
      ...(known.sha256 !== "" && { etag }),
    };
    if (known.sha256 !== "" && request.header("if-none-match") === etag) {
      await handle.close();
      return { status: 304, headers };
    }
    const isSame = [undefined, etag].includes(request.header("if-range"));
    const range = isSame ? byteRange(request.header("range"), size) : undefined;
    const { start, end } = range ?? { start: 0, end: size - 1 };
    if (request.isHead) await handle.close();
    return {
      status: range === undefined ? 200 : 206,
      headers: {
        ...headers,
        "content-length": String(end - start + 1),
        ...(range !== undefined && { "content-range": `bytes ${start}-${end}/${size}` }),
      },
      ...(!request.isHead && { body: content(handle, { start, end }) }),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The bytes; whoever leaves early closes the file. */
async function* content(
  handle: FileHandle,
  { start, end }: { readonly start: number; readonly end: number },
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (end < start) return;
    for await (const chunk of handle.createReadStream({ start, end, autoClose: false })) {
      yield chunk as Buffer;
    }
  } finally {
    await handle.close();
  }
}

async function artifactsOf(
  { log }: ApiContext,
  { jobId, result }: JobRecord,
): Promise<readonly Artifact[]> {
  if (result !== undefined) return result.outputs?.artifacts ?? [];
  const byPath = new Map<string, Artifact>();
  for await (const { kind, details } of keptEventsOf(log, jobId)) {
    if (kind !== "artifact" || typeof details?.["path"] !== "string") continue;
    byPath.set(details["path"], details as unknown as Artifact);
  }
  return [...byPath.values()];
}

/** Opens a plain file of the job's own directory; links are not followed, on the way neither. */
async function openArtifact(
  { artifactsDir }: ApiContext,
  jobId: string,
  path: string,
): Promise<FileHandle | undefined> {
  if (artifactsDir === undefined) return undefined;
  try {
    const root = join(await realpath(artifactsDir), jobId);
    const file = join(root, path);
    if ((await realpath(file)) !== file) return undefined;
    const handle = await open(
      file,
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    if ((await handle.stat()).isFile()) return handle;
    await handle.close();
    return undefined;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  return hasCode(error, "ENOENT", "ENOTDIR", "ELOOP", "EISDIR", "ENXIO", "ENAMETOOLONG");
}
