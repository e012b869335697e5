import type { IdMapping, Rootfs, RootfsIdMappings } from "@longshore/core";
import { LongshoreError } from "@longshore/core/errors";
import { idMappingsKey } from "../mount/id-mappings.ts";
import type { MountProbe } from "../mount/probe-mounts.ts";
import type { ImageMounts } from "./image-mounts.ts";
import type { MountableImage } from "./mountable-image.ts";

/** How a root filesystem is made. */
export type RootfsForm = "overlay" | "overlay-directory" | "copy" | "block";

/** What the store remembers of how an owner's root filesystem is made. */
export interface OwnerForm {
  readonly form: RootfsForm;
  readonly idMappings?: RootfsIdMappings | undefined;
}

/** As one text: it is written down together with the owner, or not at all. */
export function formatOwnerForm({ form, idMappings }: OwnerForm): string {
  if (idMappings === undefined) return form;
  const { uids, gids } = idMappings;
  return `${form} uids=${uids.map(toText).join(",")} gids=${gids.map(toText).join(",")}`;
}

/** @throws {LongshoreError} `CONFIG_ERROR` for what another release wrote */
export function parseOwnerForm(text: string): OwnerForm {
  const pattern = /^(overlay|overlay-directory|copy|block)(?: uids=([\d:,]+) gids=([\d:,]+))?$/;
  const [, form, uids, gids] = pattern.exec(text) ?? [];
  if (form === undefined) {
    throw new LongshoreError("CONFIG_ERROR", `A root filesystem is of the unknown kind ${text}.`, {
      details: { kind: text },
    });
  }
  if (uids === undefined || gids === undefined) return { form: form as RootfsForm };
  return {
    form: form as RootfsForm,
    idMappings: { uids: toMappings(uids), gids: toMappings(gids) },
  };
}

function toText({ containerId, hostId, length }: IdMapping): string {
  return `${containerId}:${hostId}:${length}`;
}

function toMappings(text: string): readonly IdMapping[] {
  return text.split(",").map((part) => {
    const [containerId = 0, hostId = 0, length = 0] = part.split(":").map(Number);
    return { containerId, hostId, length };
  });
}

/** Whether the ids are shifted in the same way. */
export function isSameShift(a: RootfsIdMappings | undefined, b: typeof a): boolean {
  const [first, second] = [a, b].map((mappings) => mappings && idMappingsKey(mappings));
  return first === second;
}

export interface FormChoice {
  readonly accept: readonly Rootfs["kind"][];
  readonly idMappings?: RootfsIdMappings | undefined;
  readonly mounts: Pick<ImageMounts, "methodFor">;
  readonly probes: readonly MountProbe[];
}

/**
 * The first of the accepted kinds that can be made of an image here.
 *
 * @throws {LongshoreError} `RUNTIME_NOT_SUPPORTED` with what was tried
 */
export async function chooseForm(image: MountableImage, choice: FormChoice): Promise<RootfsForm> {
  const { accept, idMappings, mounts, probes } = choice;
  const isShifted = idMappings !== undefined;
  const canMount = (await mounts.methodFor(image, idMappings)) !== undefined;
  const can = (method: MountProbe["method"]): boolean =>
    probes.some((probe) => probe.method === method && probe.available);
  // Only root can give files away.
  const canCopy = can("extract") && (!isShifted || process.getuid?.() === 0);
  for (const kind of accept) {
    if (kind === "overlay" && canMount) return "overlay";
    if (kind === "directory" && canMount && can("overlay")) return "overlay-directory";
    if (kind === "directory" && canCopy) return "copy";
    // The owners on a block device are what they are.
    if (kind === "block" && !isShifted && image.openReader === undefined) return "block";
  }
  const methods = probes.map(({ method, available, reason }) => ({ method, available, reason }));
  const how = isShifted ? " with shifted owners" : "";
  const idmap = probes.find(({ method }) => method === "idmap");
  const why = isShifted && idmap?.available === false ? ` (idmap: ${idmap.reason})` : "";
  throw new LongshoreError(
    "RUNTIME_NOT_SUPPORTED",
    `No root filesystem of the kinds ${accept.join(", ")} can be made${how} here${why}.`,
    { details: { accept, methods } },
  );
}
