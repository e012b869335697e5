import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { raceAbort } from "../worker/abort-race.ts";
import { areNames, pluginApiVersion } from "./define-plugin.ts";
import type { Plugin } from "./plugin.ts";
import { resolveModule } from "./resolve-module.ts";

export interface LoadPluginsOptions extends Abortable {
  /** Directory from which paths and module names are resolved: that of the configuration file */
  readonly from: string;
}

/**
 * Imports plugins by module name (`longshore-plugin-disk`) or path (`./plugins/disk.mjs`), resolved as an `import` in a
 * module of the directory would be. A module exports its plugin as `plugin`, or as default.
 *
 * @throws {LongshoreError} `PLUGIN_INVALID` naming the module, and what is wrong with it
 */
export async function loadPlugins(
  specifiers: readonly string[],
  options: LoadPluginsOptions,
): Promise<readonly Plugin[]> {
  const plugins: Plugin[] = [];
  for (const specifier of specifiers) {
    options.signal?.throwIfAborted();
    plugins.push(await loadPlugin(specifier, options));
  }
  return plugins;
}

async function loadPlugin(specifier: string, options: LoadPluginsOptions): Promise<Plugin> {
  const module = await importModule(specifier, options);
  const candidate = module["plugin"] ?? module["default"];
  if (!isPlugin(candidate)) {
    throw invalid(specifier, 'exports no plugin: export one made by definePlugin as "plugin"');
  }
  const { apiVersion } = candidate;
  if (apiVersion !== pluginApiVersion) {
    const remedy =
      apiVersion > pluginApiVersion
        ? "Update Longshore, or install an older release of the plugin"
        : "Install a newer release of the plugin";
    throw invalid(
      specifier,
      `was made for version ${apiVersion} of the plugin contract; this is version ${pluginApiVersion}. ${remedy}`,
    );
  }
  return candidate;
}

async function importModule(
  specifier: string,
  { from, signal }: LoadPluginsOptions,
): Promise<Record<string, unknown>> {
  let url: string;
  try {
    url = resolveModule(specifier, from);
  } catch (error) {
    throw invalid(specifier, messageOf(error), error);
  }
  try {
    // A module may wait at its top level for something that never comes.
    const module: unknown = await raceAbort(import(url), signal);
    return typeof module === "object" && module !== null ? { ...module } : {};
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw invalid(specifier, `could not be loaded: ${messageOf(error)}`, error);
  }
}

function isPlugin(value: unknown): value is Plugin {
  return (
    typeof value === "object" &&
    value !== null &&
    "name" in value &&
    typeof value.name === "string" &&
    value.name !== "" &&
    "apiVersion" in value &&
    typeof value.apiVersion === "number" &&
    "setup" in value &&
    typeof value.setup === "function" &&
    (!("requires" in value) || areNames(value.requires))
  );
}

function invalid(specifier: string, problem: string, cause?: unknown): LongshoreError {
  const end = problem.endsWith(".") ? "" : ".";
  return new LongshoreError("PLUGIN_INVALID", `The plugin "${specifier}" ${problem}${end}`, {
    cause,
    details: { plugin: specifier },
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
