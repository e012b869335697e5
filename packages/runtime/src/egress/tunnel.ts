import { connect, isIP, type Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { ForbiddenAddressError } from "./checked-lookup.ts";
import { readClientHello } from "./client-hello.ts";
import { denialFor, writeRawDenial } from "./denial.ts";
import type { EgressDenialReason } from "./decision-events.ts";
import { normalizeHost, type EgressRule } from "./egress-rules.ts";
import type { EgressSession } from "./egress-session.ts";
import type { ForwardTarget } from "./forward-request.ts";
import { joinSockets } from "./join-sockets.ts";

export interface TunnelRequest {
  readonly session: EgressSession;
  readonly host: string;
  readonly port: number;
  readonly rule: EgressRule;
  /** The sandbox's connection, from which the HTTP parser is detached */
  readonly client: Socket;
  /** What the client sent behind its request already */
  readonly head: Buffer;
  /** Reads HTTP from a connection and sends it to one place */
  readonly serve: (connection: Socket, target: ForwardTarget) => void;
}

const established = "HTTP/1.1 200 Connection established\r\n\r\n";
const maxHeldBytes = 65_536;

/** Answers a CONNECT request to an allowed place. */
export function openTunnel(tunnel: TunnelRequest): void {
  const { session, host, port, client, head, serve } = tunnel;
  client.setTimeout(session.limits.idleTimeoutMs, () => client.destroy());
  if (port === 80) {
    // Clear text, so its requests can be held to the host: WebSockets come this way.
    tell(tunnel);
    client.write(established);
    if (head.length > 0) client.unshift(head);
    serve(client, { session, host, port, isSecure: false });
  } else if (session.authority !== undefined && session.swap.hasSecretsFor(host, port)) {
    client.write(established);
    if (head.length > 0) client.unshift(head);
    terminateTls(tunnel);
  } else {
    passThrough(tunnel);
  }
}

/** Speaks TLS in the host's place, with a certificate that the sandbox trusts. */
function terminateTls(tunnel: TunnelRequest): void {
  const { session, host, port, client, serve } = tunnel;
  const { authority, limits } = session;
  if (authority === undefined) return;
  const secure = new TLSSocket(client, {
    isServer: true,
    secureContext: authority.contextFor(host),
    ALPNProtocols: ["http/1.1"],
  });
  const deadline = setTimeout(() => client.destroy(), limits.headerTimeoutMs);
  secure.on("error", () => client.destroy());
  client.once("close", () => {
    clearTimeout(deadline);
    secure.destroy();
  });
  secure.once("secure", () => {
    clearTimeout(deadline);
    // @types/node calls it `servername` on the client's side only.
    const { servername } = secure as TLSSocket & { readonly servername?: string | false };
    if (isSameHost(host, servername === false ? undefined : servername)) {
      tell(tunnel);
      serve(secure, { session, host, port, isSecure: true });
    } else {
      refuse(tunnel, "server-name");
    }
  });
}

/** Joins the client to the server once its first bytes are what they should be. */
function passThrough(tunnel: TunnelRequest): void {
  const { session, host, port, client } = tunnel;
  const { headerTimeoutMs, idleTimeoutMs } = session.limits;
  const server = connect({ host, port, lookup: session.lookup, allowHalfOpen: true });
  session.own(server, "server");
  const deadline = setTimeout(() => {
    if (server.connecting) server.destroy(new Error("no connection in time"));
    else refuse(tunnel, "protocol");
  }, headerTimeoutMs);
  client.on("error", () => server.destroy());
  client.once("close", () => {
    clearTimeout(deadline);
    if (!client.readableEnded) server.destroy();
  });
  server.once("error", (error) => {
    clearTimeout(deadline);
    if (error instanceof ForbiddenAddressError) {
      session.events.tell({ host, port, reason: "address" });
      writeRawDenial(client, denialFor("address", host, port));
    } else {
      const code = "code" in error && typeof error.code === "string" ? error.code : "error";
      writeRawDenial(client, {
        status: 502,
        message: `${host}:${port} cannot be reached (${code})`,
      });
    }
  });
  server.once("connect", () => {
    server.removeAllListeners("error");
    server.on("error", () => client.destroy());
    server.setTimeout(idleTimeoutMs, () => server.destroy());
    client.write(established);
    checkFirstBytes(tunnel, server, deadline);
  });
}

function checkFirstBytes(tunnel: TunnelRequest, server: Socket, deadline: NodeJS.Timeout): void {
  const { host, port, client } = tunnel;
  const mustBeTls = port === 443;
  let held = tunnel.head;
  const open = (): void => {
    clearTimeout(deadline);
    client.off("data", onData);
    client.pause();
    if (held.length > 0) client.unshift(held);
    if (mustBeTls) joinSockets(client, server);
    else client.pipe(server);
  };
  const look = (): void => {
    const first = readClientHello(held);
    if (first.kind === "incomplete") {
      if (held.length > maxHeldBytes) refuse(tunnel, "protocol");
    } else if (first.kind === "tls") {
      if (!isSameHost(host, first.serverName)) refuse(tunnel, "server-name");
      else {
        if (mustBeTls) tell(tunnel);
        open();
      }
    } else if (mustBeTls) refuse(tunnel, "protocol");
    else open();
  };
  const onData = (chunk: Buffer): void => {
    held = Buffer.concat([held, chunk]);
    look();
  };
  client.on("data", onData);
  if (!mustBeTls) {
    // The server may be the one who speaks first, and the client may take its time.
    clearTimeout(deadline);
    tell(tunnel);
    server.pipe(client);
    client.once("end", () => server.end());
    server.once("close", () => {
      if (server.readableEnded) client.end();
      else client.destroy();
    });
  }
  if (held.length > 0) look();
  client.resume();
}

/** A name must be the very host; to an address no name belongs. */
function isSameHost(host: string, serverName: string | undefined): boolean {
  if (isIP(host) !== 0) return serverName === undefined;
  return serverName !== undefined && normalizeHost(serverName) === host;
}

function tell({ session, host, port, rule }: TunnelRequest): void {
  session.events.tell({ host, port, rule: rule.text });
}

/** Ends a tunnel that is open already: only the event can say why. */
function refuse({ session, host, port, client }: TunnelRequest, reason: EgressDenialReason): void {
  session.events.tell({ host, port, reason });
  client.destroy();
}
