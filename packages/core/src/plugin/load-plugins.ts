import { createRequire } from "node:module";
import { isAbsolute, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { pluginApiVersion } from "./define-plugin.ts";
import type { Plugin } from "./plugin.ts";

export interface LoadPluginsOptions extends Abortable {
  /** Directory from which paths and module names are resolved: that of the configuration file */
  readonly from: string;
}

/**
 * Imports plugins by module name (`longshore-plugin-disk`) or path (`./plugins/disk.mjs`). A module exports its plugin
 * as `plugin`, or as default.
 *
 * @throws {LongshoreError} `PLUGIN_INVALID` naming the module, and what is wrong with it
 */
export async function loadPlugins(
  specifiers: readonly string[],
  { from, signal }: LoadPluginsOptions,
): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [];
  for (const specifier of specifiers) {
    signal?.throwIfAborted();
    plugins.push(await loadPlugin(specifier, from));
  }
  return plugins;
}

async function loadPlugin(specifier: string, from: string): Promise<Plugin> {
  const module = await importModule(specifier, from);
  const candidate = module["plugin"] ?? module["default"];
  if (!isPlugin(candidate)) {
    throw invalid(specifier, 'exports no plugin: export one made by definePlugin as "plugin"');
  }
  if (candidate.apiVersion !== pluginApiVersion) {
    throw invalid(
      specifier,
      `was made for version ${candidate.apiVersion} of the plugin contract; this is version ${pluginApiVersion}. Install a release of it that fits`,
    );
  }
  return candidate;
}

async function importModule(specifier: string, from: string): Promise<Record<string, unknown>> {
  const url = locate(specifier, from);
  try {
    const module: unknown = await import(url);
    return typeof module === "object" && module !== null ? { ...module } : {};
  } catch (error) {
    throw invalid(specifier, `could not be loaded: ${messageOf(error)}`, error);
  }
}

function locate(specifier: string, from: string): string {
  if (specifier.startsWith(".") || isAbsolute(specifier)) {
    return pathToFileURL(resolve(from, specifier)).href;
  }
  try {
    const file = createRequire(join(resolve(from), "package.json")).resolve(specifier);
    return pathToFileURL(file).href;
  } catch (error) {
    throw invalid(
      specifier,
      `was not found from ${resolve(from)}; install it there: npm install ${specifier}`,
      error,
    );
  }
}

function isPlugin(value: unknown): value is Plugin {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    "apiVersion" in value &&
    typeof value.apiVersion === "number" &&
    "setup" in value &&
    typeof value.setup === "function"
  );
}

function invalid(specifier: string, problem: string, cause?: unknown): LongshoreError {
  return new LongshoreError("PLUGIN_INVALID", `The plugin "${specifier}" ${problem}.`, {
    cause,
    details: { plugin: specifier },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
