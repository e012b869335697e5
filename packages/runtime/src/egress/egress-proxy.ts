import { once } from "node:events";
import { createServer, ServerResponse, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import type { EgressRules, EventBus, Logger } from "@longshore/core";
import { proxyPort } from "../network/network-rules.ts";
import { createCertificateAuthority } from "./certificate-authority.ts";
import { checkedLookup, resolveByHost, type ResolveHost } from "./checked-lookup.ts";
import { decisionEvents, type EgressDenialReason } from "./decision-events.ts";
import { denialFor, writeDenial, writeRawDenial, type Denial } from "./denial.ts";
import { checkEgressLimits, defaultEgressLimits, type EgressLimits } from "./egress-limits.ts";
import { normalizeHost, parseAuthority } from "./egress-rules.ts";
import { createEgressSession, type EgressSession } from "./egress-session.ts";
import { forwardRequest, forwardUpgrade, type ForwardTarget } from "./forward-request.ts";
import { writeTrustFiles, type TrustFiles } from "./trust-files.ts";
import { openTunnel } from "./tunnel.ts";

export interface EgressOptions {
  /** PEM certificates that servers are checked against, e.g. of a company. @default those of Node */
  readonly certificateAuthorities?: readonly string[] | undefined;
  /** @default the host's resolver */
  readonly resolve?: ResolveHost | undefined;
  readonly limits?: Partial<EgressLimits> | undefined;
}

export interface EgressProxyOptions extends EgressOptions {
  /** Of the host, where only sandboxes reach it */
  readonly address: string;
  /** Host directory for certificates that sandboxes are shown */
  readonly directory: string;
  readonly events?: EventBus | undefined;
  readonly logger: Logger;
}

interface EgressClient {
  readonly sandboxId: string;
  /** From which the sandbox's connections come; nobody else can use it */
  readonly address: string;
  readonly rules: EgressRules;
}

/** An HTTP proxy that knows each sandbox by its address. */
export interface EgressProxy extends AsyncDisposable {
  readonly port: number;
  /**
   * Lets a sandbox use the proxy. What comes from other addresses is cut off.
   *
   * @throws {LongshoreError} `VALIDATION_ERROR`
   */
  open(client: EgressClient): Promise<TrustFiles>;
  /** Ends its connections and forgets its secrets. Idempotent. */
  close(sandboxId: string): void;
}

const maxConnections = 8_192;
const checkIntervalMs = 1_000;
const keepAliveMs = 60_000;

/** Starts the proxy on a port that the kernel chooses. */
export async function createEgressProxy(options: EgressProxyOptions): Promise<EgressProxy> {
  const { address, directory, events, logger } = options;
  const limits = checkEgressLimits({ ...defaultEgressLimits, ...options.limits });
  const lookup = checkedLookup(options.resolve ?? resolveByHost);
  const sessions = new Map<string, EgressSession>();
  /** Connections inside a tunnel, whose requests all go to one place */
  const tunnels = new WeakMap<Duplex, ForwardTarget>();
  const owners = new WeakMap<Duplex, EgressSession>();

  const server = createServer({
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headerTimeoutMs,
    // A long upload is no attack; one that stands still is idle.
    requestTimeout: 0,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: checkIntervalMs,
    insecureHTTPParser: false,
  });
  server.maxConnections = maxConnections;
  server.timeout = limits.idleTimeoutMs;

  const sessionOf = (socket: Duplex): EgressSession | undefined =>
    tunnels.get(socket)?.session ?? owners.get(socket);

  server.prependListener("connection", (socket: Socket) => {
    if (tunnels.has(socket)) return;
    const session = sessions.get(socket.remoteAddress ?? "");
    if (session === undefined) {
      socket.destroy();
      return;
    }
    owners.set(socket, session);
    session.own(socket, "client");
    if (session.clientCount <= limits.maxConnections) return;
    session.events.tell({ host: "", port: 0, reason: "limit" });
    writeRawDenial(socket, denialFor("limit", "", 0));
  });

  const serve = (connection: Socket, target: ForwardTarget): void => {
    tunnels.set(connection, target);
    server.emit("connection", connection);
  };

  /** Where a request is to go, judged, or why it is refused. */
  const route = (request: IncomingMessage): { target: ForwardTarget; path: string } | Denial => {
    const tunnel = tunnels.get(request.socket);
    const session = sessionOf(request.socket);
    const url = request.url ?? "";
    const deny = (reason: EgressDenialReason, host = "", port = 0): Denial => {
      session?.events.tell({ host, port, reason });
      return denialFor(reason, host, port);
    };
    if (session === undefined) return deny("rule");
    if (tunnel !== undefined) {
      const { host, port, isSecure } = tunnel;
      if (!url.startsWith("/") && url !== "*") return deny("malformed", host, port);
      const named = parseAuthority(withPort(request.headers.host ?? "", isSecure ? 443 : 80));
      if (named?.host !== host || named.port !== port) return deny("server-name", host, port);
      return { target: tunnel, path: url };
    }
    const match = /^http:\/\/([^/?#\s]+)([/?][^#\s]*)?$/i.exec(url);
    const place = match === null ? undefined : parseAuthority(withPort(match[1] ?? "", 80));
    if (place === undefined) return deny("malformed");
    const { host, port } = place;
    const verdict = session.judge(host, port);
    if (!verdict.isAllowed) return deny(verdict.reason, host, port);
    session.events.tell({ host, port, rule: verdict.rule.text });
    const path = match?.[2] ?? "/";
    return {
      target: { session, host, port, isSecure: false },
      path: path.startsWith("/") ? path : `/${path}`,
    };
  };

  /** What a hostile request makes throw must end its connection, not the host program. */
  const guard = (socket: Duplex | ServerResponse, work: () => void): void => {
    socket.on("error", () => socket.destroy());
    try {
      work();
    } catch (error) {
      logger.warn({ error }, "an egress request failed");
      socket.destroy();
    }
  };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const routed = route(request);
    if (!("target" in routed)) {
      writeDenial(response, routed);
      return;
    }
    const { session, host, port } = routed.target;
    if (session.admit(response)) {
      forwardRequest(routed.target, routed.path, { request, response });
      return;
    }
    session.events.tell({ host, port, reason: "limit" });
    writeDenial(response, denialFor("limit", host, port));
  };

  server.on("request", (request, response) => {
    guard(response, () => answer(request, response));
  });

  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (request.headers.upgrade?.toLowerCase() !== "websocket") {
      // Whoever offers another protocol, e.g. h2c, may be answered in this one.
      const response = new ServerResponse(request);
      response.on("error", () => response.destroy());
      response.shouldKeepAlive = false;
      response.assignSocket(socket as Socket);
      response.once("finish", () => socket.end());
      answer(request, response);
      return;
    }
    const routed = route(request);
    if ("target" in routed) forwardUpgrade(routed.target, routed.path, { request, socket, head });
    else writeRawDenial(socket, routed);
  };
  server.on("upgrade", (request, socket, head) => {
    guard(socket, () => upgrade(request, socket, head));
  });

  const connect = (request: IncomingMessage, client: Socket, head: Buffer): void => {
    const session = owners.get(client);
    const place = parseAuthority(request.url ?? "");
    if (session === undefined || place === undefined || tunnels.has(client)) {
      sessionOf(client)?.events.tell({ host: "", port: 0, reason: "malformed" });
      writeRawDenial(client, denialFor("malformed", "", 0));
      return;
    }
    const verdict = session.judge(place.host, place.port);
    if (!verdict.isAllowed) {
      session.events.tell({ ...place, reason: verdict.reason });
      writeRawDenial(client, denialFor(verdict.reason, place.host, place.port));
      return;
    }
    openTunnel({ session, ...place, rule: verdict.rule, client, head, serve });
  };
  server.on("connect", (request: IncomingMessage, client: Socket, head: Buffer) => {
    guard(client, () => connect(request, client, head));
  });

  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    const isTooLong = error.code === "HPE_HEADER_OVERFLOW";
    const isTooSlow = error.code === "ERR_HTTP_REQUEST_TIMEOUT";
    if (error.code !== "ECONNRESET") {
      const reason = isTooLong || isTooSlow ? "limit" : "malformed";
      sessionOf(socket)?.events.tell({ host: "", port: 0, reason });
    }
    const status = isTooLong ? 431 : isTooSlow ? 408 : 400;
    writeRawDenial(socket, { status, message: "the request cannot be read" });
  });

  server.listen({ host: address, port: 0 });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;

  return {
    port,
    async open({ sandboxId, address: from, rules }) {
      const session = createEgressSession({
        sandboxId,
        rules,
        events: decisionEvents(sandboxId, events, logger),
        lookup,
        limits,
        certificateAuthorities: options.certificateAuthorities,
        createAuthority: () => createCertificateAuthority(`Longshore sandbox ${sandboxId}`),
      });
      const files: TrustFiles =
        session.authority === undefined
          ? { env: [], files: {} }
          : await writeTrustFiles(join(directory, sandboxId), session.authority.certificate);
      sessions.get(from)?.close();
      sessions.set(from, session);
      return { env: [...proxyVariables(address), ...files.env], files: files.files };
    },
    close(sandboxId) {
      for (const [from, session] of sessions) {
        if (session.sandboxId !== sandboxId) continue;
        sessions.delete(from);
        session.close();
      }
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions.values()) session.close();
      sessions.clear();
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function proxyVariables(address: string): readonly string[] {
  const url = `http://${address}:${proxyPort}`;
  const local = "localhost,127.0.0.1,::1";
  return [
    `HTTP_PROXY=${url}`,
    `HTTPS_PROXY=${url}`,
    `http_proxy=${url}`,
    `https_proxy=${url}`,
    `NO_PROXY=${local}`,
    `no_proxy=${local}`,
    // Node's own fetch asks for this before it looks at the others.
    "NODE_USE_ENV_PROXY=1",
  ];
}

function withPort(authority: string, port: number): string {
  return normalizeHost(authority) === undefined ? authority : `${authority}:${port}`;
}
