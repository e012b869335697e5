import type { Abortable } from "../abortable.ts";
import { basicCapabilities } from "./basic-capabilities.ts";
import type { Capabilities, Interpreter } from "./capabilities.ts";
import { findInterpreters } from "./find-interpreters.ts";
import { findFeatures, findFormats } from "./find-tools.ts";
import { normalizeRuntime } from "./runtime-names.ts";

type Declarable = Omit<
  Capabilities,
  "operations" | "workerVersion" | "protocolVersions" | "limits"
>;

/** Capabilities that an operator may declare; the others are facts. */
export type DeclaredCapabilities = {
  readonly [Key in keyof Declarable]?: Declarable[Key] | undefined;
} & {
  /** Each limit that is there replaces the machine's own */
  readonly limits?: Partial<Omit<Capabilities["limits"], "maxConcurrentJobs">> | undefined;
};

export interface DetectOptions extends Abortable {
  readonly handlers: { operations(): readonly string[] };
  readonly maxConcurrentJobs: number;
  /** What the configuration says; each key that is there replaces what would be detected */
  readonly declared?: DeclaredCapabilities | undefined;
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Advertise runtimes that were declared and not found. @default false */
  readonly trustDeclaredRuntimes?: boolean | undefined;
  /** Time each command has to tell its version. @default 5_000 */
  readonly timeoutMs?: number | undefined;
}

/** Where a capability comes from, highest precedence first. */
export type CapabilitySource = "env" | "config" | "detection";

/** A runtime, where its claim comes from, and whether it was found on this machine. */
export interface RuntimeClaim {
  readonly name: string;
  readonly source: CapabilitySource;
  readonly verified: boolean;
}

export interface CapabilityReport {
  readonly capabilities: Capabilities;
  readonly sources: Readonly<Record<keyof Capabilities, CapabilitySource>>;
  readonly runtimes: readonly RuntimeClaim[];
  readonly warnings: readonly string[];
}

/** In order of precedence */
const runtimeVariables = ["LONGSHORE_WORKER_RUNTIMES", "WORKER_RUNTIMES", "ATTUNE_WORKER_RUNTIMES"];

/**
 * What this machine can run. Each key is decided by itself: environment over configuration over detection.
 *
 * A list in `WORKER_RUNTIMES` is comma-separated; blank counts as unset, `none` as empty.
 */
export async function detectCapabilities(options: DetectOptions): Promise<CapabilityReport> {
  const { handlers, maxConcurrentJobs, declared = {}, env = process.env, signal } = options;
  signal?.throwIfAborted();
  const warnings: string[] = [];
  const asking = { path: env["PATH"] ?? "", timeoutMs: options.timeoutMs ?? 5_000, signal };
  const [interpreters, features, formats] = await Promise.all([
    declared.interpreters ?? findInterpreters(asking),
    declared.features ?? findFeatures(asking.path),
    declared.formats ?? findFormats(asking),
  ]);
  signal?.throwIfAborted();
  const runtimes = claimRuntimes(options, interpreters, warnings);
  const isTrusted = options.trustDeclaredRuntimes === true;
  const basic = basicCapabilities(handlers, maxConcurrentJobs);
  const capabilities: Capabilities = {
    ...basic,
    ...definedIn(declared),
    ...factsOf(basic),
    limits: { ...basic.limits, ...definedIn(declared.limits ?? {}), maxConcurrentJobs },
    interpreters,
    features,
    formats,
    runtimes: runtimes.filter(({ verified }) => verified || isTrusted).map(({ name }) => name),
    runtimeVersions: declared.runtimeVersions ?? versionsOf(interpreters),
  };
  for (const { name, verified, source } of runtimes) {
    if (verified) continue;
    warnings.push(
      `runtime ${name} (from ${source}) was not found on this machine${isTrusted ? "" : "; it is not advertised"}`,
    );
  }
  return { capabilities, sources: sourcesOf(capabilities, declared, env), runtimes, warnings };
}

function claimRuntimes(
  { declared = {}, env = process.env }: DetectOptions,
  interpreters: readonly Interpreter[],
  warnings: string[],
): readonly RuntimeClaim[] {
  const found = new Set(["native", ...interpreters.map(({ name }) => name)]);
  const fromEnv = runtimesFromEnv(env, warnings);
  const names = fromEnv ?? declared.runtimes;
  if (names !== undefined) {
    const source = fromEnv === undefined ? "config" : "env";
    const unique = new Set(names.map(normalizeRuntime));
    return [...unique].map((name) => ({ name, source, verified: found.has(name) }));
  }
  // A machine with POSIX has a shell, wherever it is.
  if (interpreters.length === 0 && process.platform !== "win32") found.add("shell");
  return [...found].map((name) => ({ name, source: "detection", verified: true }));
}

function runtimesFromEnv(
  env: Readonly<Record<string, string | undefined>>,
  warnings: string[],
): readonly string[] | undefined {
  for (const variable of runtimeVariables) {
    const text = env[variable];
    if (text === undefined) continue;
    const names = text
      .split(",")
      .map((name) => name.trim().toLowerCase())
      .filter((name) => name !== "");
    if (names.length === 0) {
      warnings.push(`${variable} is set but blank; it is ignored (use "none" for no runtimes)`);
      continue;
    }
    return names.length === 1 && names[0] === "none" ? [] : names;
  }
  return undefined;
}

function sourcesOf(
  capabilities: Capabilities,
  declared: DeclaredCapabilities,
  env: NonNullable<DetectOptions["env"]>,
): CapabilityReport["sources"] {
  const isDeclared = new Set(Object.keys(definedIn(declared)));
  const keys = Object.keys(capabilities).map((key) => [
    key,
    isDeclared.has(key) ? "config" : "detection",
  ]);
  const sources = Object.fromEntries(keys) as Record<keyof Capabilities, CapabilitySource>;
  return runtimesFromEnv(env, []) === undefined ? sources : { ...sources, runtimes: "env" };
}

function versionsOf(interpreters: readonly Interpreter[]): Record<string, readonly string[]> {
  const versions: Record<string, readonly string[]> = {};
  for (const { name, version } of interpreters) {
    if (version !== undefined) versions[name] = [...(versions[name] ?? []), version];
  }
  return versions;
}

/** What nobody may declare, not even by an object that the types would refuse. */
function factsOf({
  operations,
  workerVersion,
  protocolVersions,
}: Capabilities): Pick<Capabilities, "operations" | "workerVersion" | "protocolVersions"> {
  return { operations, workerVersion, protocolVersions };
}

type Said<Declared> = { [Key in keyof Declared]?: Exclude<Declared[Key], undefined> };

/** What was said; `undefined` says nothing. */
function definedIn<Declared extends object>(declared: Declared): Said<Declared> {
  const defined = Object.entries(declared).filter(([, field]) => field !== undefined);
  return Object.fromEntries(defined) as Said<Declared>;
}
