import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import type { Duplex, Writable } from "node:stream";
import type { EgressRules } from "@longshore/core";
import type { CertificateAuthority } from "./certificate-authority.ts";
import type { DecisionEvents, EgressDenialReason } from "./decision-events.ts";
import type { EgressLimits } from "./egress-limits.ts";
import { findRule, parseEgressRules, type EgressRule } from "./egress-rules.ts";
import { isPublicAddress } from "./public-address.ts";
import { secretSwap, type SecretSwap } from "./secret-swap.ts";

/** Whether something may be reached, and by which rule, or why not. */
type Verdict =
  | { readonly isAllowed: true; readonly rule: EgressRule }
  | { readonly isAllowed: false; readonly reason: EgressDenialReason };

/** The part of the proxy that serves one sandbox. */
export interface EgressSession {
  readonly sandboxId: string;
  readonly swap: SecretSwap;
  readonly events: DecisionEvents;
  /** Present when hosts have secrets */
  readonly authority: CertificateAuthority | undefined;
  readonly lookup: LookupFunction;
  readonly limits: EgressLimits;
  readonly httpAgent: HttpAgent;
  readonly httpsAgent: HttpsAgent;
  /** Connections of the sandbox to the proxy */
  readonly clientCount: number;
  judge(host: string, port: number): Verdict;
  /** Counts a request until its answer is over. False when too many are under way: pipelining is no way around. */
  admit(request: Writable): boolean;
  /** Ends the connection with the session. */
  own(socket: Duplex, side: "client" | "server"): void;
  close(): void;
}

export interface EgressSessionOptions {
  readonly sandboxId: string;
  readonly rules: EgressRules;
  readonly events: DecisionEvents;
  readonly lookup: LookupFunction;
  readonly limits: EgressLimits;
  /** PEM; absent: those of Node */
  readonly certificateAuthorities?: readonly string[] | undefined;
  readonly createAuthority: () => CertificateAuthority;
}

/** @throws {LongshoreError} `VALIDATION_ERROR` */
export function createEgressSession(options: EgressSessionOptions): EgressSession {
  const { sandboxId, events, lookup, limits, certificateAuthorities } = options;
  const rules = parseEgressRules(options.rules.allow, "egress.allow");
  const secrets = options.rules.secrets ?? [];
  const swap = secretSwap(secrets, rules);
  const sockets = new Set<Duplex>();
  let clientCount = 0;
  let requestCount = 0;
  const pool = { keepAlive: true, maxSockets: limits.maxConnections, maxFreeSockets: 16 };
  const httpAgent = new HttpAgent(pool);
  const httpsAgent = new HttpsAgent({
    ...pool,
    // Said here, whatever NODE_TLS_REJECT_UNAUTHORIZED says: secrets only go to servers that prove who they are.
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    ...(certificateAuthorities === undefined ? {} : { ca: [...certificateAuthorities] }),
  });

  return {
    sandboxId,
    swap,
    events,
    authority: secrets.length === 0 ? undefined : options.createAuthority(),
    lookup,
    limits,
    httpAgent,
    httpsAgent,
    get clientCount() {
      return clientCount;
    },
    judge(host, port) {
      const rule = findRule(rules, host, port);
      if (rule === undefined) return { isAllowed: false, reason: "rule" };
      const isNamed = rule.scope === "host" || findLiteral(rules, host, port);
      if (isIP(host) !== 0 && !isNamed && !isPublicAddress(host)) {
        return { isAllowed: false, reason: "address" };
      }
      return { isAllowed: true, rule };
    },
    admit(request) {
      if (requestCount >= limits.maxConnections) return false;
      requestCount += 1;
      request.once("close", () => {
        requestCount -= 1;
      });
      return true;
    },
    own(socket, side) {
      sockets.add(socket);
      if (side === "client") clientCount += 1;
      socket.once("close", () => {
        sockets.delete(socket);
        if (side === "client") clientCount -= 1;
      });
    },
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Whether a rule other than the first that fits names the address itself. */
function findLiteral(rules: readonly EgressRule[], host: string, port: number): boolean {
  return rules.some(
    (rule) => rule.scope === "host" && rule.host === host && rule.ports.includes(port),
  );
}
