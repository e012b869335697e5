import { isAbsolute } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { defineHandler, LongshoreError, type Handler, type HandlerContext } from "@longshore/core";
import { verifyChecksum } from "./checksum.ts";
import { detectOs, type Volume } from "./detect-os.ts";
import { inspectPayload, unsupported, type InspectPayload } from "./inspect-payload.ts";
import { inspectReport, type InspectReport } from "./inspect-report.ts";
import { inspectStorage } from "./inspect-storage.ts";
import { openDisk, type OpenDisk } from "./open-disk.ts";
import { checkImage, imageInfo } from "./qemu-img.ts";

export interface DiskInspectOptions {
  /** Directories, absolute, in which images and all that they build on must lie. Nothing else is read. */
  readonly roots: readonly string[];
}

/**
 * Looks into disk images, read-only and without mounting them: format, partitions, filesystems, operating systems.
 *
 * Phases: `validation`, `disk_attach`, `disk_inspection`, `os_detection`, `result_generation`, `cleanup`. Error codes:
 * `POLICY_DENIED` outside of the roots, `NOT_FOUND`, `VALIDATION_ERROR`, `IMAGE_CHECKSUM_MISMATCH`,
 * `RUNTIME_NOT_SUPPORTED` without qemu-img, and `DISK_UNREADABLE`.
 */
export function diskInspectHandler({
  roots,
}: DiskInspectOptions): Handler<InspectPayload, InspectReport> {
  if (roots.length === 0) throw new TypeError("disk.inspect needs a directory to read images from");
  const relativeRoot = roots.find((root) => !isAbsolute(root));
  if (relativeRoot !== undefined) throw new TypeError(`"${relativeRoot}" is not an absolute path`);

  return defineHandler({
    name: "disk-inspect",
    operations: ["disk.inspect"],
    payload: inspectPayload,
    result: inspectReport,
    async execute(context, payload) {
      context.progress({ phase: "validation", percent: 0, message: "opening the image" });
      const report = await withDisk(context, payload, roots);
      context.progress({ phase: "cleanup", percent: 100, message: "image closed" });
      return report;
    },
  });
}

async function withDisk(
  context: HandlerContext,
  payload: InspectPayload,
  roots: readonly string[],
): Promise<InspectReport> {
  const { path, format } = payload.image;
  await using disk = await openDisk(path, { roots, format, signal: context.signal });
  // Awaited here: the image is closed when this function returns.
  return await inspect(context, disk, payload);
}

async function inspect(
  context: HandlerContext,
  opened: OpenDisk,
  payload: InspectPayload,
): Promise<InspectReport> {
  const { image, options } = payload;
  const { signal } = context;
  await validate(context, opened, image);

  context.progress({ phase: "disk_attach", percent: 40, message: `reading ${opened.format}` });
  const target = { fd: opened.file.handle.fd, format: opened.format, signal };
  const info = await imageInfo(target);
  const check =
    options.deep_scan && opened.format === "qcow2" ? await checkImage(target) : undefined;

  context.progress({ phase: "disk_inspection", percent: 60, message: "partitions, filesystems" });
  const { storage, volumes, warnings } = await inspectStorage(opened.disk);

  context.progress({ phase: "os_detection", percent: 75, message: `${volumes.length} volumes` });
  const systems = await searchVolumes(volumes);

  context.progress({ phase: "result_generation", percent: 90 });
  const specific = info["format-specific"]?.data;
  const report: InspectReport = {
    image: {
      path: image.path,
      format: opened.format,
      virtual_size_bytes: opened.disk.size,
      file_size_bytes: opened.file.size,
      allocated_bytes: info["actual-size"],
      cluster_size_bytes: info["cluster-size"],
      compression: specific?.["compression-type"],
      snapshots: (info.snapshots ?? []).map(({ name }) => name),
      backing_files: [...opened.backingFiles],
      checksum: image.checksum === undefined ? "not_given" : "verified",
      check,
    },
    ...(options.include_storage && { storage }),
    ...systems,
    warnings: [
      ...warnings,
      ...(info["dirty-flag"] === true ? ["the image was not closed properly"] : []),
      ...(specific?.corrupt === true ? ["the image is marked as corrupt"] : []),
      ...unsupported(options).map((name) => `${name} is not supported by this handler`),
    ],
  };
  await writeReport(context, report, payload.output);
  return report;
}

async function validate(
  context: HandlerContext,
  { file }: OpenDisk,
  image: InspectPayload["image"],
): Promise<void> {
  if (image.size_bytes !== undefined && image.size_bytes !== file.size) {
    throw new LongshoreError(
      "VALIDATION_ERROR",
      `The image has ${file.size} bytes, not ${image.size_bytes}.`,
      { phase: "validation", details: { expected: image.size_bytes, actual: file.size } },
    );
  }
  if (image.checksum === undefined) return;
  await verifyChecksum(file.handle, {
    size: file.size,
    expected: image.checksum,
    signal: context.signal,
    onProgress: (share) =>
      context.progress({ phase: "validation", percent: 40 * share, message: "checksum" }),
  });
}

type Systems = Pick<InspectReport, "operating_systems" | "not_searched">;

async function searchVolumes(volumes: readonly Volume[]): Promise<Systems> {
  const systems: Systems = { operating_systems: [], not_searched: [] };
  for (const volume of volumes) {
    const search = await detectOs(volume);
    const { partition, filesystem } = volume;
    if (search.kind === "found") systems.operating_systems.push(search.system);
    if (search.kind === "not-searched") {
      const { reason } = search;
      systems.not_searched.push({ partition, filesystem: filesystem.type, reason });
    }
  }
  return systems;
}

async function writeReport(
  context: HandlerContext,
  report: InspectReport,
  { destination, compression }: InspectPayload["output"],
): Promise<void> {
  if (destination === undefined) return;
  const json = Buffer.from(`${JSON.stringify(report, undefined, 2)}\n`);
  const isPlain = compression === "none";
  await context.artifact(destination, isPlain ? json : await promisify(gzip)(json), {
    mediaType: isPlain ? "application/json" : "application/gzip",
  });
}
