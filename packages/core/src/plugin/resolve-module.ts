import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { resolveExports } from "./resolve-exports.ts";

/**
 * The URL that an `import` of the specifier would load if it stood in a module of the directory. Node itself resolves
 * from another place only behind a flag, or as `require` does, which refuses packages that can only be imported.
 *
 * @param specifier a path that is absolute or starts with a dot, a `file:` URL, or a module name, with subpath or not
 * @throws {Error} saying what is wrong, as the rest of a sentence about the plugin
 */
export function resolveModule(specifier: string, from: string): string {
  if (specifier.startsWith("file:")) return specifier;
  if (specifier.startsWith(".") || isAbsolute(specifier)) {
    const path = resolve(from, specifier);
    if (existsSync(path)) return pathToFileURL(path).href;
    throw new Error(`was not found: there is no file ${path}`);
  }
  const [, name, subpath = ""] = /^((?:@[^/]+\/)?[^/]+)(\/.+)?$/.exec(specifier) ?? [];
  const directory = name === undefined ? undefined : packageDirectory(name, resolve(from));
  if (name === undefined || directory === undefined) {
    throw new Error(
      `was not found from ${resolve(from)}; install it there (npm install ${name ?? specifier}), or give its path, starting with "./"`,
    );
  }
  const { exports } = readManifest(directory);
  if (exports === undefined || exports === null) return requireUrl(specifier, from);
  const target = resolveExports(exports, `.${subpath}`, importConditions());
  if (target === undefined) {
    throw new Error(`was found in ${directory}, but exports no ".${subpath}" that can be imported`);
  }
  const path = join(directory, target);
  if (!existsSync(path)) throw new Error(`is not complete: ${path} is missing; was it built?`);
  return pathToFileURL(path).href;
}

/** The package's directory, looked for upwards as Node does. */
function packageDirectory(name: string, from: string): string | undefined {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, "node_modules", name);
    if (existsSync(join(candidate, "package.json"))) return candidate;
    if (dirname(directory) === directory) return undefined;
  }
}

function readManifest(directory: string): { readonly exports?: unknown } {
  const manifest: unknown = JSON.parse(readFileSync(join(directory, "package.json"), "utf8"));
  return typeof manifest === "object" && manifest !== null ? manifest : {};
}

/** For packages without `exports`, importing and requiring find the same file. */
function requireUrl(specifier: string, from: string): string {
  try {
    return pathToFileURL(createRequire(join(resolve(from), "_")).resolve(specifier)).href;
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new Error(`was not found: ${reason}`, { cause: error });
  }
}

/** Those of every import, and those that this process was started with (`--conditions`). */
function importConditions(): ReadonlySet<string> {
  const flags = [...process.execArgv, process.env["NODE_OPTIONS"] ?? ""].join(" ");
  const extra = [...flags.matchAll(/(?:^|\s)(?:--conditions|-C)[=\s]+(\S+)/g)];
  return new Set([
    "node",
    "import",
    "module-sync",
    "default",
    ...extra.map(([, name = ""]) => name),
  ]);
}
