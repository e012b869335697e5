import { z } from "zod";

/** What an OCI runtime can do beyond version 1.0.2 of the specification. */
export interface RuntimeFeatures {
  /** Mounts that are read-only with everything below them: the option `rro` */
  readonly recursiveReadOnly: boolean;
  /** Ids of a mount's files shown as others */
  readonly idMappedMounts: boolean;
}

/** What may be expected of a runtime that says nothing about itself. */
export const defaultRuntimeFeatures: RuntimeFeatures = {
  recursiveReadOnly: false,
  idMappedMounts: false,
};

const featuresSchema = z.object({
  mountOptions: z.array(z.string()).optional(),
  linux: z
    .object({
      mountExtensions: z
        .object({ idmap: z.object({ enabled: z.boolean().optional() }).optional() })
        .optional(),
    })
    .optional(),
});

/**
 * Reads the answer of a runtime's `features` command; what is not said is not there.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.2.0/features.md
 */
export function parseRuntimeFeatures(json: string): RuntimeFeatures {
  const parsed = featuresSchema.safeParse(parseJson(json));
  if (!parsed.success) return defaultRuntimeFeatures;
  const { mountOptions, linux } = parsed.data;
  return {
    recursiveReadOnly: mountOptions?.includes("rro") ?? false,
    idMappedMounts: linux?.mountExtensions?.idmap?.enabled ?? false,
  };
}

function parseJson(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // A runtime without the command prints its help.
    return undefined;
  }
}
