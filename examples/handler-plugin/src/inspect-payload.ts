import { z } from "zod";

const flag = z.boolean().default(false);

/** Looks that only an agent inside the guest, or a full mount, could take. */
const unsupportedOptions = [
  "include_packages",
  "include_services",
  "include_users",
  "include_network",
  "include_security",
  "include_databases",
] as const;

/** Input of `disk.inspect`: payload type `guestkit.inspect.v1`. */
export const inspectPayload = z.object({
  image: z.object({
    /** Absolute path of the image on the worker */
    path: z
      .string()
      .min(1)
      .max(4_096)
      .refine((path) => !path.includes("\0"), "contains NUL"),
    /** Detected when absent; give it for raw images from people you do not trust */
    format: z.enum(["raw", "qcow2"]).optional(),
    /** `sha256:<hex>` or bare hex of the image file */
    checksum: z
      .string()
      .regex(/^(sha256:)?[0-9a-fA-F]{64}$/, "must be sha256:<64 hex digits>")
      .transform((text) => text.replace(/^sha256:/, "").toLowerCase())
      .optional(),
    /** Size of the image file that is expected */
    size_bytes: z.int().min(0).optional(),
    /** Images are never written to */
    read_only: z.literal(true).default(true),
  }),
  options: z
    .object({
      /** Also checks all tables of a qcow2 image */
      deep_scan: flag,
      include_storage: z.boolean().default(true),
      include_packages: flag,
      include_services: flag,
      include_users: flag,
      include_network: flag,
      include_security: flag,
      include_databases: flag,
    })
    .prefault({}),
  output: z
    .object({
      format: z.literal("json").default("json"),
      /** Path below the job's artifacts to which the report goes as well */
      destination: z.string().min(1).max(1_024).optional(),
      compression: z.enum(["none", "gzip"]).default("none"),
    })
    .prefault({}),
});

export type InspectPayload = z.infer<typeof inspectPayload>;

/** The options that were asked for and that this handler does not have. */
export function unsupported(options: InspectPayload["options"]): readonly string[] {
  return unsupportedOptions.filter((name) => options[name]);
}
