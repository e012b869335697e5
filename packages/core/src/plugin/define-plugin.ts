import type { Plugin } from "./plugin.ts";

/** Major version of the plugin contract of this package. */
export const pluginApiVersion = 1;

/** A plugin made for this version of the contract. Export it as `plugin`, or as the module's default. */
export function definePlugin(definition: Omit<Plugin, "apiVersion">): Plugin {
  if (definition.name === "") throw new TypeError("a plugin needs a name");
  return { ...definition, apiVersion: pluginApiVersion };
}
