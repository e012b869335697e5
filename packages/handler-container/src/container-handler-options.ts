import { constants } from "node:buffer";
import type {
  Abortable,
  AdmissionRules,
  AuthConfig,
  HandlerContext,
  ImageClient,
  Policy,
  RuntimeClient,
} from "@longshore/core";
import { isHostRule } from "./egress-hosts.ts";

/** An image as a builder left it. */
export interface BuiltImage {
  /** OCI image layout with one image */
  readonly directory: string;
  /** Full name the image is to have; always below `localhost/` */
  readonly reference: string;
}

/** What a job may ask for of the network, from least to most. */
export type NetworkAccess = "none" | "egress" | "bridge";

export interface ContainerHandlerOptions {
  readonly runtime: RuntimeClient;
  readonly images: ImageClient;
  /** The worker's own: they are checked again before an image is pulled, and give the limits of jobs that name none */
  readonly rules: AdmissionRules;
  /** Asked before every call of the runtime and the store. Whoever allows all says so with `allowAllPolicy()` */
  readonly policy: Policy;
  /** For whom the policy is asked. @default `service:<worker id>` */
  readonly subject?: ((context: HandlerContext) => string) | undefined;
  /** Runtime handler of mode `image`. @default "" (the runtime's default) */
  readonly runtimeHandler?: string | undefined;
  /** Runtime handlers that jobs of mode `sandbox` may have, best first; none: the mode is refused. @default [] */
  readonly backends?: readonly string[] | undefined;
  /** Image of jobs of mode `sandbox` that name none. @default none: they must */
  readonly sandboxImage?: string | undefined;
  /** The most of the network that a job may have; it gets none unless it asks. @default "none" */
  readonly network?: NetworkAccess | undefined;
  /**
   * Hosts that a job may name when it asks for `{ "allow": [hosts] }`: `host`, `*.domain`, `*` for every name, or an address,
   * each with `:port` or at 80 and 443. `*` does not mean addresses. @default [] (none)
   */
  readonly allowedHosts?: readonly string[] | undefined;
  /**
   * Puts an image that was built into the store, and resolves to its id; without it the mode `build` is refused. The
   * layout is gone when it has resolved.
   */
  readonly importImage?: ((built: BuiltImage, options: Abortable) => Promise<string>) | undefined;
  /** Credentials for the registry of an image */
  readonly auth?: ((image: string) => Promise<AuthConfig | undefined>) | undefined;
  /** Whether an image is pulled that is in the store already. @default "missing" */
  readonly pull?: "always" | "missing" | "never" | undefined;
  /** Variables of the host's own for a job, e.g. a token made for it */
  readonly environment?:
    | ((context: HandlerContext) => Readonly<Record<string, string>>)
    | undefined;
  /** Whether lines of output become log events of the job. @default "lines" */
  readonly logOutput?: "lines" | "none" | undefined;
  /** Milliseconds from the stop signal to SIGKILL. @default 5_000 */
  readonly killGraceMs?: number | undefined;
  /** Bytes of standard output kept of a job; it may ask for less, not for more. @default 10_485_760 */
  readonly maxStdoutBytes?: number | undefined;
  /** The same of standard error. @default 10_485_760 */
  readonly maxStderrBytes?: number | undefined;
  /** Bytes of all `runtime.files`, or of a build's context. @default 16_777_216 */
  readonly maxFileBytes?: number | undefined;
}

/** A timer that is set to more fires at once. */
const maxTimerMs = 2_147_483_647;

/** @throws {RangeError} for a number, or a host, that cannot be meant */
export function assertOptions(options: ContainerHandlerOptions): void {
  for (const host of options.allowedHosts ?? []) {
    if (isHostRule(host)) continue;
    throw new RangeError(`allowedHosts: ${JSON.stringify(host)} is no host, "*.domain" or "*"`);
  }
  const ranges = {
    killGraceMs: maxTimerMs,
    // All that is kept becomes one string.
    maxStdoutBytes: constants.MAX_STRING_LENGTH,
    maxStderrBytes: constants.MAX_STRING_LENGTH,
    maxFileBytes: Number.MAX_SAFE_INTEGER,
  } as const;
  for (const name of Object.keys(ranges) as (keyof typeof ranges)[]) {
    const value = options[name];
    if (value === undefined) continue;
    if (value >= 0 && value <= ranges[name] && Number.isInteger(value)) continue;
    throw new RangeError(`${name} must be a whole number from 0 to ${ranges[name]}, got ${value}`);
  }
}
