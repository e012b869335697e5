import { hostname } from "node:os";
import { dirname, isAbsolute, resolve } from "node:path";
import { z } from "zod";
import type { Abortable } from "../abortable.ts";
import { rename, renamePlan } from "../job/rename-plan.ts";
import { configError } from "./config-error.ts";
import { readConfigFile } from "./config-file.ts";
import { configSchema } from "./config-schema.ts";
import { overridesFromEnv } from "./config-env.ts";
import { defaultHome } from "./default-home.ts";
import type { ConfigSource, WorkerConfig } from "./worker-config.ts";

export interface LoadConfigOptions extends Abortable {
  /** YAML or JSON file; none is read when absent */
  readonly file?: string | undefined;
  /** @default process.env */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Values by dotted key, e.g. `{ "worker.pool": "gpu" }`; `undefined` is not there */
  readonly flags?: Readonly<Record<string, unknown>> | undefined;
  /** Relative paths of flags and environment start here. @default the current directory */
  readonly cwd?: string | undefined;
}

export interface LoadedConfig {
  readonly config: WorkerConfig;
  /** Where each key that is not at its default was set */
  readonly sources: Readonly<Record<string, ConfigSource>>;
  readonly warnings: readonly string[];
  /** Directory of the file: where plugins are resolved from */
  readonly directory: string;
}

/** Old names that still work */
const aliases: ReadonlyMap<string, string> = new Map([
  ["worker.max_concurrent_tasks", "worker.max_concurrent_jobs"],
]);
const plan = renamePlan(configSchema);

interface Origin {
  readonly source: ConfigSource;
  /** The file, the variable, or that it is a flag */
  readonly name: string;
}

/** What the schema gives: without the values that depend on the machine. */
type ParsedConfig = Omit<WorkerConfig, "home" | "worker"> & {
  readonly home?: string;
  readonly worker: Omit<WorkerConfig["worker"], "id"> & { readonly id?: string };
};

/**
 * The configuration of a worker: flags over environment over file over defaults, key by key.
 *
 * @throws {LongshoreError} `CONFIG_ERROR` naming the key, what was expected and, for an unknown key, the one that was
 *   probably meant
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<LoadedConfig> {
  const { env = process.env, flags = {}, cwd = process.cwd(), signal } = options;
  signal?.throwIfAborted();
  const file = options.file === undefined ? undefined : resolve(cwd, options.file);
  const directory = file === undefined ? cwd : dirname(file);
  const merged: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  const origins = new Map<string, string>();
  const warnings: string[] = [];

  const set = (path: readonly string[], value: unknown, from: Origin): void => {
    const key = path.join(".");
    const name = aliases.get(key) ?? key;
    if (name !== key) warnings.push(`${key} is an old name of ${name} (${from.name})`);
    setPath(merged, name.split("."), value);
    sources[name] = from.source;
    origins.set(name, from.name);
  };
  if (file !== undefined) {
    for (const [path, value] of leaves(await readConfigFile(file, { signal }))) {
      set(path, value, { source: "file", name: file });
    }
  }
  for (const { path, value, variable } of overridesFromEnv(env)) {
    set(path, value, { source: "env", name: variable });
  }
  for (const [key, value] of Object.entries(flags)) {
    if (value !== undefined) set(key.split("."), value, { source: "flag", name: "a flag" });
  }

  const parsed = configSchema.safeParse(merged);
  if (!parsed.success) throw configError(parsed.error, { plan, origins });
  const config = rename(parsed.data, plan, "toApi") as ParsedConfig;
  return { config: complete(config, { directory, cwd, sources }), sources, warnings, directory };
}

/** JSON Schema of the configuration file. */
export function configJsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configSchema, { io: "input" }) };
}

/** Fills in what depends on the machine, and makes paths absolute: those of the file start at the file. */
function complete(
  config: ParsedConfig,
  at: { directory: string; cwd: string; sources: Readonly<Record<string, ConfigSource>> },
): WorkerConfig {
  const absolute = (path: string, key: string): string =>
    isAbsolute(path) ? path : resolve(at.sources[key] === "file" ? at.directory : at.cwd, path);
  const { worker, policy, api } = config;
  const apiFiles = {
    tokenFile: "api.token_file",
    keysFile: "api.keys_file",
    clientCaFile: "api.client_ca_file",
    certFile: "api.cert_file",
    keyFile: "api.key_file",
  } as const;
  return {
    ...config,
    api: {
      ...api,
      ...Object.fromEntries(
        (Object.keys(apiFiles) as (keyof typeof apiFiles)[]).flatMap((name) => {
          const path = api[name];
          return path === undefined ? [] : [[name, absolute(path, apiFiles[name])]];
        }),
      ),
    },
    home: config.home === undefined ? defaultHome({}) : absolute(config.home, "home"),
    worker: {
      ...worker,
      id: worker.id ?? `worker-${safeHostname()}`,
      resultsDir: absolute(worker.resultsDir, "worker.results_dir"),
      ...(worker.workDir !== undefined && {
        workDir: absolute(worker.workDir, "worker.work_dir"),
      }),
    },
    policy: {
      ...policy,
      ...(policy.keysFile !== undefined && {
        keysFile: absolute(policy.keysFile, "policy.keys_file"),
      }),
    },
  };
}

/** Every value of the file by its path; lists and maps of free keys count as one value, a known key without one as none. */
function* leaves(
  value: Record<string, unknown>,
  level = plan,
  path: readonly string[] = [],
): Generator<readonly [path: readonly string[], value: unknown]> {
  for (const [key, field] of Object.entries(value)) {
    const known = level.toApi.get(key);
    if (known !== undefined && field === null) continue;
    const inner = known?.plan;
    const isSection =
      inner !== undefined && typeof field === "object" && field !== null && !Array.isArray(field);
    if (isSection) yield* leaves({ ...field }, inner, [...path, key]);
    else yield [[...path, key], field];
  }
}

function setPath(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = "", ...rest] = path;
  let field = value;
  if (rest.length > 0) {
    const known = Object.hasOwn(target, key) ? target[key] : undefined;
    const inner: Record<string, unknown> =
      typeof known === "object" && known !== null && !Array.isArray(known) ? { ...known } : {};
    setPath(inner, rest, value);
    field = inner;
  }
  // An assignment to __proto__ would make no field, and none that could be refused.
  const isPlain = { value: field, enumerable: true, configurable: true, writable: true };
  Object.defineProperty(target, key, isPlain);
}

function safeHostname(): string {
  const name = hostname()
    .replaceAll(/[^A-Za-z0-9._-]/g, "-")
    .replaceAll(/\.{2,}/g, ".");
  return /^[A-Za-z0-9]/.test(name) ? name.slice(0, 100) : `host-${name}`.slice(0, 100);
}
