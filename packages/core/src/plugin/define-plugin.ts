import type { Plugin } from "./plugin.ts";

/** Major version of the plugin contract of this package. */
export const pluginApiVersion = 1;

/**
 * A plugin made for this version of the contract. Export it as `plugin`, or as the module's default.
 *
 * @throws {TypeError} for a definition without name or `setup`, or with needs that are no names
 */
export function definePlugin(definition: Omit<Plugin, "apiVersion">): Plugin {
  const { name, setup, requires } = definition;
  if (typeof name !== "string" || name === "") throw new TypeError("a plugin needs a name");
  if (typeof setup !== "function") throw new TypeError(`plugin "${name}" has no setup function`);
  if (!areNames(requires)) {
    throw new TypeError(`plugin "${name}" must require a list of plugin names`);
  }
  return { ...definition, apiVersion: pluginApiVersion };
}

/** Whether these may be the needs of a plugin. */
export function areNames(requires: unknown): requires is readonly string[] | undefined {
  if (requires === undefined) return true;
  return Array.isArray(requires) && requires.every((name) => typeof name === "string");
}
