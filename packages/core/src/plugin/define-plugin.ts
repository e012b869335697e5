import type { Plugin } from "./plugin.ts";

/** Major version of the plugin contract of this package. */
export const pluginApiVersion = 1;

/**
 * A plugin made for this version of the contract. Export it as `plugin`, or as the module's default.
 *
 * @throws {TypeError} for a definition without name or `setup`
 */
export function definePlugin(definition: Omit<Plugin, "apiVersion">): Plugin {
  const { name, setup } = definition;
  if (typeof name !== "string" || name === "") throw new TypeError("a plugin needs a name");
  if (typeof setup !== "function") throw new TypeError(`plugin "${name}" has no setup function`);
  return { ...definition, apiVersion: pluginApiVersion };
}
