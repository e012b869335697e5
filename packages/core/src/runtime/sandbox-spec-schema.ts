import { isIP } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { jsonProblem } from "../job/json-problem.ts";
import { rename, renamePlan } from "../job/rename-plan.ts";
import { issuesError, toPath, validationError } from "../job/validation-error.ts";
import { maxTimeoutMs } from "./run-command.ts";
import type { SandboxSpec } from "./sandbox-spec.ts";

const text = z.string().refine((value) => !value.includes("\0"), "must not contain NUL");
const absolutePath = text.max(4_096).startsWith("/", "expected an absolute path");
const amount = z.number().positive();
const port = z.int().min(1).max(65_535);
const timeout = z.number().positive().max(maxTimeoutMs);
const envName = z
  .string()
  .max(256)
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "expected the name of an environment variable");
const egressHost = z
  .string()
  .max(260)
  .regex(
    /^(\*|(\*\.)?[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?)(:[0-9]{1,5})?$/,
    "expected a host, host:port, *.domain or *",
  );

const secret = z.strictObject({
  hosts: z
    .array(egressHost)
    .min(1)
    .max(256)
    .describe("Where it may go; each as it stands in allow"),
  value: text.min(1).max(65_536).describe("The secret itself"),
});

const egress = z
  .strictObject({
    allow: z.array(egressHost).max(1_024).describe("Hosts the sandbox may reach; * is every host"),
    secrets: z
      .record(envName, secret)
      .optional()
      .describe("By the environment variable that holds a placeholder inside"),
  })
  .superRefine(({ allow, secrets = {} }, context) => {
    for (const [name, { hosts }] of Object.entries(secrets)) {
      const stray = hosts.find((host) => !allow.includes(host));
      if (stray === undefined) continue;
      context.addIssue({
        code: "custom",
        path: ["secrets", name, "hosts"],
        message: `"${stray}" does not stand in egress.allow`,
      });
    }
  });

const sandboxSchema = z
  .strictObject({
    image: text.min(1).max(512).describe("OCI reference"),
    pull: z.enum(["always", "missing", "never"]).optional().describe("When to fetch the image"),
    name: z
      .string()
      .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, "expected a lower-case host name without dots")
      .optional()
      .describe("Host name, and the name it is found by"),
    runtime_handler: z.string().max(64).optional().describe("Kind of sandbox"),
    memory_mb: amount.optional().describe("Memory, MiB"),
    cpus: amount.optional().describe("Processors, fractions allowed"),
    pids: amount.optional().describe("Processes at one time"),
    network: z.enum(["none", "bridge"]).optional().describe("Loopback only, or the pods' network"),
    egress: egress.optional().describe("What it may reach"),
    ports: z
      .array(
        z.strictObject({
          port: port.describe("In the sandbox"),
          host_port: port.optional().describe("On the host; the same when absent"),
          host_ip: z
            .string()
            .refine((address) => isIP(address) !== 0, "expected an IP address")
            .optional()
            .describe("Address of the host; 127.0.0.1 when absent"),
          protocol: z.enum(["tcp", "udp"]).optional().describe("tcp when absent"),
        }),
      )
      .max(256)
      .optional()
      .describe("Ports of the sandbox on ports of the host"),
    mounts: z
      .array(
        z.strictObject({
          host_path: absolutePath.describe("On the host"),
          path: absolutePath.describe("In the sandbox"),
          readonly: z.boolean().optional().describe("true when absent"),
        }),
      )
      .max(256)
      .optional()
      .describe("Host directories or files to show inside"),
    readonly_rootfs: z.boolean().optional().describe("Whether the image's files are read-only"),
    env: z.record(envName, text).optional().describe("Environment of every command"),
    cwd: absolutePath.optional().describe("Working directory of every command"),
    user: text.min(1).max(256).optional().describe("uid, uid:gid or a user name of the image"),
    labels: z
      .record(
        z
          .string()
          .min(1)
          .max(317)
          .refine((key) => !key.startsWith("longshore.io/"), "must not begin with longshore.io/"),
        z.string().max(4_096),
      )
      .optional()
      .describe("Shown in lists"),
    command: z.array(text).min(1).max(1_024).optional().describe("Process that holds it open"),
    timeout_ms: timeout.optional().describe("Age at which it is removed"),
    idle_timeout_ms: timeout.optional().describe("Time without use after which it is removed"),
  })
  .superRefine(({ network, egress: rules, ports = [], env = {} }, context) => {
    if (network === "none" && (rules !== undefined || ports.length > 0)) {
      const path = [rules === undefined ? "ports" : "egress"];
      context.addIssue({ code: "custom", path, message: 'needs network "bridge", or none named' });
    }
    for (const name of Object.keys(rules?.secrets ?? {})) {
      if (!Object.hasOwn(env, name)) continue;
      context.addIssue({ code: "custom", path: ["env", name], message: "is a secret's name" });
    }
  });

const plan = renamePlan(sandboxSchema);

/**
 * Checks a spec in its wire form, e.g. a job document's `runtime.sandbox`, and gives it API names. Unknown fields are
 * refused: one that limits must not be lost to a misspelling. `backend` and `vcpus`, as older documents have them, are read as
 * `runtime_handler` (`"auto"` is the default) and `cpus`.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`, every issue in `details.issues`
 */
export function decodeSandboxSpec(wire: unknown): SandboxSpec {
  const parsed = sandboxSchema.safeParse(withoutAliases(wire));
  if (!parsed.success) throw validationError(parsed.error);
  return rename(parsed.data, plan, "toApi") as SandboxSpec;
}

/** The wire form of a spec. Holds the secrets. */
export function encodeSandboxSpec(spec: SandboxSpec): Record<string, unknown> {
  return rename(spec, plan, "toWire") as Record<string, unknown>;
}

/**
 * A checked copy of a spec with API names.
 *
 * @throws {LongshoreError} `VALIDATION_ERROR`; paths have wire names
 */
export function checkSandboxSpec(spec: SandboxSpec): SandboxSpec {
  const problem = jsonProblem(spec);
  if (problem !== undefined) {
    const { kind, path, message } = problem;
    throw issuesError([{ path: toPath(path), code: kind, message }]);
  }
  const wire = encodeSandboxSpec(spec);
  const checked = decodeSandboxSpec(wire);
  // A wire name among API names would have been left out without a word.
  if (isDeepStrictEqual(rename(wire, plan, "toApi"), withoutUndefined(spec))) return checked;
  throw issuesError([
    { path: "", code: "unrecognized_keys", message: "has fields with names in snake_case" },
  ]);
}

/** JSON Schema (2020-12) of a sandbox spec in its wire form. */
export function sandboxJsonSchema(): Record<string, unknown> {
  const { $schema, ...rest } = z.toJSONSchema(sandboxSchema, { io: "input" });
  return { $schema, $id: "urn:longshore:schema:sandbox:v1", ...rest };
}

function withoutAliases(wire: unknown): unknown {
  if (typeof wire !== "object" || wire === null || Array.isArray(wire)) return wire;
  const { backend, vcpus, ...fields } = wire as Record<string, unknown>;
  // Both names at once are left as they are, and refused as a field that nobody knows.
  if (backend !== undefined && "runtime_handler" in fields) return wire;
  if (vcpus !== undefined && "cpus" in fields) return wire;
  return {
    ...fields,
    ...(backend !== undefined && { runtime_handler: backend === "auto" ? "" : backend }),
    ...(vcpus !== undefined && { cpus: vcpus }),
  };
}

function withoutUndefined(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefined);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([key, field]) => [key, withoutUndefined(field)]),
  );
}
