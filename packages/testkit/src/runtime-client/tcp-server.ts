import { once } from "node:events";
import { connect, createServer, type AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { CaseContainer, RuntimeCase } from "./runtime-case.ts";

/** A command that greets each line sent to a TCP port: Perl of Debian's minimal image, or BusyBox' netcat. */
export function greeter(port: number): readonly string[] {
  const perl = `$s = IO::Socket::INET->new(Listen => 5, LocalPort => ${port}, ReuseAddr => 1) or die;
    while ($c = $s->accept) { $l = <$c>; print $c "hello $l"; close $c }`;
  const script = `if command -v perl > /dev/null; then exec perl -MIO::Socket::INET -e '${perl}'; fi
    printf '#!/bin/sh\nread l; echo "hello $l"\n' > /greet; chmod 755 /greet
    exec nc -ll -p ${port} -e /greet`;
  return ["sh", "-c", script];
}

/** Waits until somebody listens on a port in a container's network. */
export async function untilListening(
  tools: RuntimeCase,
  container: CaseContainer,
  port: number,
): Promise<void> {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const listens = `grep -q ":${hex} [0-9A-F:]* 0A " /proc/net/tcp /proc/net/tcp6`;
  await tools.sh(container, `until ${listens}; do sleep 0.02; done`);
}

/** Sends a name to a greeter, and answers its greeting. */
export async function greet(stream: Duplex, name: string): Promise<string> {
  stream.write(`${name}\n`);
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  // The other side has ended; ours is open still.
  stream.destroy();
  return Buffer.concat(chunks).toString("utf8");
}

/** A connection from the host. */
export async function connectTo(port: number, host: string): Promise<Duplex> {
  const socket = connect({ port, host });
  await once(socket, "connect", { signal: AbortSignal.timeout(10_000) });
  return socket;
}

/** A port of the host that nobody uses just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
