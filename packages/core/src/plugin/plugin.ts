import type { Abortable } from "../abortable.ts";
import type { Handler } from "../handler/handler.ts";
import type { JobTransport } from "../transport/job-transport.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Makes a transport from its part of the configuration, which it must check itself. */
export type TransportFactory = (config: unknown) => JobTransport | Promise<JobTransport>;

/** What a plugin may add to its host. Every name may be taken once. */
export interface PluginHost {
  readonly logger: Logger;
  /** @throws {LongshoreError} `DUPLICATE_HANDLER` unless `override` is set */
  registerHandler(handler: Handler, options?: { readonly override?: boolean }): void;
  /**
   * Offers a transport under the `type` that configuration names.
   *
   * @throws {LongshoreError} `PLUGIN_INVALID` when the type is taken
   */
  registerTransport(type: string, factory: TransportFactory): void;
}

/**
 * An extension: a plain object without side effects on import. Make one with `definePlugin`.
 *
 * `setup` registers, and leaves work to the handlers' own `setup`: a worker may call it more than once, on different
 * hosts, for example to see which operations there will be.
 */
export interface Plugin {
  readonly name: string;
  /** Major version of the plugin contract it was made for */
  readonly apiVersion: number;
  /** Names of plugins that must be set up before */
  readonly requires?: readonly string[] | undefined;
  setup(host: PluginHost, options?: Abortable): Promise<void> | void;
}
