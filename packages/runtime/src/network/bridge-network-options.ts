import type { EventBus, Logger } from "@longshore/core";
import type { EgressOptions } from "../egress/egress-proxy.ts";
import type { NetworkAllowance } from "./network-rules.ts";

export interface BridgeNetworkOptions {
  /** Host directory for namespaces, leases and certificates; made when missing, used by one program at a time */
  readonly directory: string;
  /** Of the bridge and of the tables of rules; two networks on a host need two. @default "longshore0" */
  readonly name?: string | undefined;
  /** IPv4 addresses of the sandboxes. @default a free 10.x.0.0/16, kept in the directory */
  readonly subnet?: string | undefined;
  /**
   * IPv6 addresses of the sandboxes, or `"none"`.
   *
   * @default a unique local /64, kept in the directory, when the host has an IPv6 default route; else none
   */
  readonly subnet6?: string | undefined;
  /** What sandboxes may reach beside the outside world. @default [] */
  readonly allow?: readonly NetworkAllowance[] | undefined;
  /** @default that of the host's default route */
  readonly mtu?: number | undefined;
  /** Name servers of sandboxes whose configuration names none. @default the host's that they can reach */
  readonly nameServers?: readonly string[] | undefined;
  readonly egress?: EgressOptions | undefined;
  /** Gets `worker.{sandboxId}.egress-allowed` and `egress-denied` */
  readonly events?: EventBus | undefined;
  readonly logger?: Logger | undefined;
}
