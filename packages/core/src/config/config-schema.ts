import { z } from "zod";

const whole = z.int().min(1);
const expectedTime = "expected seconds, or a time like 24h";
const retention = z
  .union([z.int().min(0), z.string().regex(/^\d{1,9}(s|m|h|d)$/, expectedTime)], expectedTime)
  .transform(toSeconds);
const names = z.array(z.string().min(1).max(256)).max(1_000);

const taint = z.strictObject({
  key: z.string().min(1),
  value: z.string().optional(),
  effect: z.enum(["no_schedule", "prefer_no_schedule"]).default("no_schedule"),
});

const capabilities = z.strictObject({
  runtimes: names.optional().describe("Runtimes of mode process; found by looking when absent"),
  features: names.optional().describe("Features to advertise instead of those found"),
  formats: z
    .strictObject({ disk: names.optional(), image: names.optional() })
    .optional()
    .describe("Formats to advertise instead of those found"),
});

const worker = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/, "expected letters, digits and ._-")
    .optional()
    .describe("Unique name of the worker; worker-<host name> when absent"),
  pool: z.string().min(1).max(253).default("default").describe("Pool it belongs to"),
  labels: z.record(z.string(), z.string()).default({}).describe("Labels that jobs can select"),
  taints: z.array(taint).max(64).default([]).describe("Keep jobs away that do not tolerate them"),
  max_concurrent_jobs: whole.default(4).describe("Jobs that run at the same time"),
  max_queued_jobs: whole.default(10_000).describe("Jobs that may wait"),
  task_timeout_seconds: whole.optional().describe("Same as policy.defaults.timeout_seconds"),
  shutdown_timeout_seconds: z
    .number()
    .min(0)
    .default(30)
    .describe("Time running jobs get at a stop"),
  kill_grace_seconds: z.number().min(0).default(5).describe("Time from SIGTERM to SIGKILL"),
  lease_seconds: z.number().min(1).default(60).describe("Life of a lease that is not renewed"),
  work_dir: z.string().min(1).optional().describe("Where attempts get their directories"),
  results_dir: z.string().min(1).default("results").describe("Where results are written"),
  max_stdout_bytes: z.int().min(0).default(10_485_760).describe("Bytes of stdout to keep per job"),
  max_stderr_bytes: z.int().min(0).default(10_485_760).describe("Bytes of stderr to keep per job"),
  result_retention: retention.default(86_400).describe("How long finished jobs are kept"),
  capabilities: capabilities.default({}).describe("What to advertise"),
  trust_declared_runtimes: z
    .boolean()
    .default(false)
    .describe("Advertise declared runtimes that were not found"),
});

const limits = {
  timeout_seconds: whole,
  memory_mb: whole,
  cpus: z.number().positive(),
  pids: whole,
};

/** What the egress proxy takes as a rule, roughly: it says more exactly what is wrong when it is asked. */
const hostRule =
  /^(?:\[[0-9A-Fa-f:.]+\]|\*|(?:\*\.)?[^\s*:/?#@[\]\\%]+)(?::\d{1,5})?$|^[0-9A-Fa-f]*:[0-9A-Fa-f:.]*$/;

const policy = z.strictObject({
  rule: z
    .enum(["allow-all", "deny-all"])
    .default("allow-all")
    .describe("Whether whoever can write into the inbox may submit jobs"),
  allowed_modes: z
    .array(z.enum(["handler", "process", "image", "build", "sandbox"]))
    .default(["handler"])
    .describe("Ways to run a job; process runs without isolation"),
  allowed_operations: names.default(["*"]).describe("Operations, or patterns like disk.*"),
  allowed_images: names.default([]).describe('Images; none when empty, ["*"] for all'),
  network: z
    .enum(["none", "egress", "bridge"])
    .default("none")
    .describe("The most network that a job in a container may ask for"),
  allowed_hosts: z
    .array(
      z
        .string()
        .max(260)
        .regex(hostRule, 'expected a host, "*.domain" or "*", with ":port" or without'),
    )
    .max(1_000)
    .default([])
    .describe('Hosts that a job may name; none when empty, ["*"] for all names'),
  require_signature: z.boolean().default(false).describe("Refuse jobs without a valid signature"),
  keys_file: z.string().min(1).optional().describe("Public keys that may sign jobs"),
  defaults: z
    .strictObject({
      timeout_seconds: limits.timeout_seconds.optional(),
      memory_mb: limits.memory_mb.optional(),
      cpus: limits.cpus.optional(),
      pids: limits.pids.optional(),
    })
    .default({})
    .describe("For jobs that ask for nothing else"),
  max: z
    .strictObject({
      timeout_seconds: limits.timeout_seconds.optional(),
      memory_mb: limits.memory_mb.optional(),
      cpus: limits.cpus.optional(),
      pids: limits.pids.optional(),
      payload_bytes: whole.optional(),
    })
    .default({})
    .describe("More than this is refused"),
});

const file = z.string().min(1);
/** What a server can be told to listen on: a host or address, and a port, e.g. `127.0.0.1:9000` or `[::1]:9000`. */
export const listenAddress: RegExp = /^(\[[0-9A-Fa-f:]+\]|[^\s:[\]]+):\d{1,5}$/;

const api = z.strictObject({
  listen: z
    .string()
    .regex(listenAddress, "expected an address like 127.0.0.1:9000")
    .optional()
    .describe("Where the Worker HTTP API is served; nowhere when absent"),
  token_file: file.optional().describe("Bearer tokens that may use it; see longshore token"),
  keys_file: file.optional().describe("Public keys of clients that sign their requests"),
  client_ca_file: file.optional().describe("Authority of client certificates"),
  cert_file: file.optional().describe("Certificate of the server, PEM; plain HTTP when absent"),
  key_file: file.optional().describe("Private key of the certificate"),
  allow_unauthenticated: z
    .boolean()
    .default(false)
    .describe("Serve other hosts although nobody needs credentials"),
  cors_origins: names.default([]).describe("Pages of browsers that may use it"),
  body_limit_bytes: whole.default(1_048_576).describe("Larger requests are refused, bytes"),
  max_streams_per_client: whole.default(64).describe("Streams that one client may have open"),
  admin: z.boolean().default(false).describe("Serve /drain and /shutdown"),
  view: z
    .enum(["plain", "success"])
    .default("plain")
    .describe("success wraps answers below /api/v1 as {success, data}"),
});

/** The wire form of the configuration: what a file may say. */
export const configSchema: z.ZodObject = z
  .strictObject({
    home: z.string().min(1).optional().describe("Directory of the job store"),
    log_level: z
      .enum(["trace", "debug", "info", "warn", "error"])
      .default("info")
      .describe("Least important entries that are logged"),
    worker: worker.prefault({}).describe("The worker"),
    policy: policy.prefault({}).describe("What is let in"),
    api: api.prefault({}).describe("The Worker HTTP API"),
    plugins: names.default([]).describe("Modules or paths of plugins"),
    transports: z
      .array(z.looseObject({ type: z.string().min(1) }))
      .max(32)
      .optional()
      .describe("Where jobs come from; the rest of an entry belongs to its transport"),
  })
  .meta({
    title: "Worker configuration",
    description: "Configuration file of the longshore worker",
  });

function toSeconds(value: number | string): number {
  if (typeof value === "number") return value;
  const unit = { s: 1, m: 60, h: 3_600, d: 86_400 }[value.slice(-1)] ?? 1;
  return Number(value.slice(0, -1)) * unit;
}
