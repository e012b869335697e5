import type { Abortable } from "../abortable.ts";
import { LongshoreError } from "../errors/longshore-error.ts";
import { raceAbort } from "../worker/abort-race.ts";
import type { Plugin, PluginHost } from "./plugin.ts";

/**
 * Sets plugins up, each after those it requires, else in the given order.
 *
 * @throws {LongshoreError} `PLUGIN_INVALID` for a name that is taken, a need that is missing, a circle, or a `setup`
 *   that throws
 */
export async function setupPlugins(
  plugins: readonly Plugin[],
  host: PluginHost,
  { signal }: Abortable = {},
): Promise<void> {
  for (const plugin of inOrder(plugins)) {
    signal?.throwIfAborted();
    try {
      await raceAbort(Promise.resolve(plugin.setup(host, { signal })), signal);
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      const reason = error instanceof Error ? error.message : String(error);
      throw invalid(`The plugin "${plugin.name}" could not be set up: ${reason}`, plugin, error);
    }
  }
}

function inOrder(plugins: readonly Plugin[]): readonly Plugin[] {
  const byName = new Map<string, Plugin>();
  for (const plugin of plugins) {
    if (byName.has(plugin.name)) {
      throw invalid(`Two plugins are named "${plugin.name}".`, plugin);
    }
    byName.set(plugin.name, plugin);
  }
  const ordered: Plugin[] = [];
  const done = new Set<Plugin>();
  const visit = (plugin: Plugin, path: readonly string[]): void => {
    if (done.has(plugin)) return;
    if (path.includes(plugin.name)) {
      const circle = [...path.slice(path.indexOf(plugin.name)), plugin.name].join(" → ");
      throw invalid(`Plugins require each other in a circle: ${circle}.`, plugin);
    }
    for (const name of plugin.requires ?? []) {
      const needed = byName.get(name);
      if (needed === undefined) {
        throw invalid(
          `The plugin "${plugin.name}" requires "${name}", which is not there.`,
          plugin,
        );
      }
      visit(needed, [...path, plugin.name]);
    }
    done.add(plugin);
    ordered.push(plugin);
  };
  for (const plugin of plugins) visit(plugin, []);
  return ordered;
}

function invalid(message: string, plugin: Plugin, cause?: unknown): LongshoreError {
  return new LongshoreError("PLUGIN_INVALID", message, {
    cause,
    details: { plugin: plugin.name },
  });
}
