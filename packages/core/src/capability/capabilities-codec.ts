import { z } from "zod";
import { rename, renamePlan } from "../job/rename-plan.ts";
import { validationError } from "../job/validation-error.ts";
import type { Capabilities } from "./capabilities.ts";

const names = z.array(z.string().min(1).max(256)).max(10_000);
const version = z.string().min(1).max(64);

const interpreter = z.looseObject({
  name: z.string().min(1).max(64),
  path: z.string().min(1).max(4_096),
  version: version.optional(),
});

const sandboxBackend = z.looseObject({
  name: z.string().min(1).max(64),
  available: z.boolean(),
  priority: z.number(),
  auto_selectable: z.boolean(),
  reason: z.string().max(1_024).optional(),
});

const gpu = z.looseObject({
  vendor: z.string().max(256),
  model: z.string().max(256),
  memory_mb: z.number().min(0),
});

/** The wire form. Whoever sends it may be of another version: what it lacks is what a worker without it would have. */
const capabilitiesSchema = z.looseObject({
  runtimes: names.default([]),
  runtime_versions: z.record(z.string().max(64), z.array(version).max(100)).default({}),
  interpreters: z.array(interpreter).max(1_000).default([]),
  operations: names.default([]),
  features: names.default([]),
  formats: z.looseObject({ disk: names.optional(), image: names.optional() }).prefault({}),
  sandbox_backends: z.array(sandboxBackend).max(100).default([]),
  devices: z.looseObject({ gpu: z.array(gpu).max(1_000).optional() }).prefault({}),
  limits: z.looseObject({
    max_concurrent_jobs: z.int().min(0),
    max_disk_size_gb: z.number().min(0).optional(),
    memory_mb: z.number().min(0),
    cpus: z.number().min(0),
  }),
  privileged: z.boolean().default(false),
  worker_version: version,
  protocol_versions: z.array(version).min(1).max(100),
  data_locality: names.default([]),
  extra: z.record(z.string(), z.unknown()).default({}),
});
const plan = renamePlan(capabilitiesSchema);

/** The wire form of capabilities: plain JSON with names in snake_case. */
export function encodeCapabilities(capabilities: Capabilities): Record<string, unknown> {
  return Object.assign({}, rename(capabilities, plan, "toWire"));
}

/**
 * Checks the wire form of capabilities, as another worker sent it.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`
 */
export function decodeCapabilities(wire: unknown): Capabilities {
  const parsed = capabilitiesSchema.safeParse(wire);
  if (!parsed.success) throw validationError(parsed.error);
  return rename(parsed.data, plan, "toApi") as Capabilities;
}
