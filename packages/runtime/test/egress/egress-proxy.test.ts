import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cannotMakeNetworks, must, podConfig, run, within } from "../network/network-fixture.ts";
import { inVain, tcpClient, tcpGreeter, udpClient, udpEcho } from "../network/peers.ts";
import { egressWorld, type EgressWorld } from "./egress-fixture.ts";

let world: EgressWorld;
let count = 0;
const nextId = (): string => `box-${(count += 1)}`;

interface Echo {
  readonly headers: Record<string, string>;
  readonly rawHeaders: string[];
  readonly url: string;
  readonly body: string;
  readonly address: string;
}

describe.skipIf(cannotMakeNetworks)("the egress proxy (needs root)", () => {
  beforeAll(async () => {
    world = await egressWorld({
      limits: { headerTimeoutMs: 1_500, maxConnections: 8, maxHeaderBytes: 8_192 },
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => {
    world.decisions.length = 0;
    world.lookups.length = 0;
  });

  describe("requests", () => {
    it("lets allowed ones through and tells", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const { stdout } = await box.curl("-d", "some body", "http://api.example.com/a?b=c");
      const echo = JSON.parse(stdout) as Echo;
      expect(echo).toMatchObject({ method: "POST", url: "/a?b=c", body: "some body" });
      expect(echo.headers).toMatchObject({ host: "api.example.com" });
      expect(Object.keys(echo.headers)).not.toContain("proxy-connection");
      expect(world.decisions[0]).toMatchObject({
        topic: expect.stringMatching(/^worker\.box-\d+\.egress-allowed$/),
        entityType: "sandbox",
        data: { host: "api.example.com", port: 80, rule: "api.example.com" },
      });
    });

    it("refuses others with a reason, without a look-up, and tells", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com", "*.example.org"] });
      for (const url of [
        "http://www.example.com/",
        "http://example.org/",
        "http://api.example.com:81/",
      ]) {
        const { stdout } = await box.curl("-i", url);
        expect(stdout).toContain("HTTP/1.1 403");
        expect(stdout).toContain("x-longshore-egress: rule");
        expect(stdout).toContain("is not on this sandbox's allow-list");
      }
      expect((await box.curl("-i", "http://api.example.org/")).stdout).toContain("HTTP/1.1 200");
      expect(world.lookups).toStrictEqual(["api.example.org"]);
      expect(world.decisions.map(({ type }) => type).slice(0, 3)).toStrictEqual(
        Array(3).fill("worker.egress-denied"),
      );
    });

    it("serves several on one connection, each judged by itself", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const answer = await box.raw(
        "GET http://api.example.com/1 HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n",
        "GET http://www.example.com/2 HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n",
      );
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"url":"\/1"[\s\S]*HTTP\/1\.1 403 /);
    });

    it("takes the place from the request's line, never from its Host", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const { stdout } = await box.curl("-H", "Host: www.example.com", "http://api.example.com/");
      expect((JSON.parse(stdout) as Echo).headers["host"]).toBe("api.example.com");
    });

    it.each([
      [
        "two lengths",
        "POST http://api.example.com/ HTTP/1.1\\r\\nContent-Length: 3\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\nGET",
      ],
      [
        "lengths that differ",
        "POST http://api.example.com/ HTTP/1.1\\r\\nContent-Length: 3\\r\\nContent-Length: 30\\r\\n\\r\\nabc",
      ],
      [
        "a folded header",
        "GET http://api.example.com/ HTTP/1.1\\r\\nA: b\\r\\n Host: evil\\r\\n\\r\\n",
      ],
      [
        "a header with a space",
        "GET http://api.example.com/ HTTP/1.1\\r\\nTransfer-Encoding : chunked\\r\\n\\r\\n",
      ],
      [
        "bare line feeds",
        "GET http://api.example.com/ HTTP/1.1\\nHost: a\\nTransfer-Encoding: chunked\\n\\n",
      ],
      [
        "an obscured chunked",
        "POST http://api.example.com/ HTTP/1.1\\r\\nTransfer-Encoding: xchunked\\r\\n\\r\\n0\\r\\n\\r\\n",
      ],
      [
        "a user in the place",
        "GET http://api.example.com@www.example.com/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
      ],
      [
        "a fragment in the place",
        "GET http://api.example.com#@www.example.com/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
      ],
      [
        "a backslash in the place",
        "GET http://api.example.com\\\\@www.example.com/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
      ],
      ["no place", "GET / HTTP/1.1\\r\\nHost: api.example.com\\r\\n\\r\\n"],
      ["another scheme", "GET ftp://api.example.com/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["a tunnel without port", "CONNECT api.example.com HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["a tunnel with a path", "CONNECT api.example.com:443/ HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["a number for a name", "CONNECT 2130706433:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["a short address", "CONNECT 127.1:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["a hexadecimal address", "CONNECT 0x7f.0.0.0x1:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n"],
      ["TLS", "\\x16\\x03\\x01\\x00\\x05hello"],
    ])("refuses %s", async (_, request) => {
      const box = await world.open(nextId(), { allow: ["*", "*:81"] });
      const before = world.server.lines.length;
      expect(await box.raw(request)).toMatch(/^HTTP\/1\.1 400 /);
      expect(world.server.lines.length).toBe(before);
      await world.denied("malformed");
    });

    it("keeps a body's length although the client names it in Connection", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const answer = await box.raw(
        "POST http://api.example.com/ HTTP/1.1\\r\\nHost: a\\r\\nConnection: content-length, close\\r\\nContent-Length: 4\\r\\n\\r\\nbody",
      );
      expect(answer).toContain('"body":"body"');
    });

    it("answers headers that are too long, and closes on those that do not end", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.curl(
        "-i",
        "-H",
        `A: ${"a".repeat(9_000)}`,
        "http://api.example.com/",
      );
      expect(stdout).toContain("HTTP/1.1 431");
      expect(await box.raw("GET http://api.example.com/ HTTP/1.1\\r\\nA: b\\r\\n")).toMatch(
        /^HTTP\/1\.1 408 [\s\S]*<closed>/,
      );
      await world.denied("limit");
    });

    it("holds a sandbox to its number of connections", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.python(`
import socket, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
open = [socket.create_connection((p.hostname, p.port), 5) for _ in range(8)]
s = socket.create_connection((p.hostname, p.port), 5)
print(s.recv(100).decode().split('\\r\\n')[0])
`);
      expect(stdout.trim()).toBe("HTTP/1.1 429 Too Many Requests");
      const { stdout: later } = await box.curl(
        "-o/dev/null",
        "-w%{http_code}",
        "http://api.example.com/",
      );
      expect(later).toBe("200");
    });

    it("holds it to as many requests when they share a connection", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const request = "GET http://api.example.com/stream HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n";
      const before = world.server.lines.length;
      const asked = box.raw(request.repeat(40));
      await world.denied("limit");
      await expect.poll(() => world.server.lines.length - before).toBe(8);
      await world.net.network.tearDown(`box-${count}`);
      await asked;
    });

    it("answers clients that offer h2c in HTTP/1.1", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const offer =
        "Connection: Upgrade, HTTP2-Settings\\r\\nUpgrade: h2c\\r\\nHTTP2-Settings: AAMAAABk";
      const answer = await box.raw(
        `GET http://api.example.com/x HTTP/1.1\\r\\nHost: a\\r\\n${offer}\\r\\n\\r\\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*"url":"\/x"[\s\S]*<closed>/);
      expect(answer).not.toContain("h2c");
    });

    it("outlives every byte in headers and paths", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.python(`
import socket, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
codes = set()
for b in list(range(256)):
    for request in (b'GET http://api.example.com/ HTTP/1.1\\r\\nHost: a\\r\\nA: x' + bytes([b]) + b'y\\r\\n\\r\\n',
                    b'GET http://api.example.com/x' + bytes([b]) + b'y HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n',
                    b'GET http://api.example.com/ HTTP/1.1\\r\\nHost: a\\r\\nA' + bytes([b]) + b'B: y\\r\\n\\r\\n'):
        s = socket.create_connection((p.hostname, p.port), 20)
        s.sendall(request); codes.add(s.recv(12)[9:].decode()); s.close()
print(sorted(codes))
`);
      expect(stdout.trim()).toBe("['200', '400']");
    });

    it.each([
      ["a status of 99", "HTTP/1.1 099 Low\r\n\r\n"],
      ["a status with control characters", "HTTP/1.1 200 a\u0001b\r\nContent-Length: 0\r\n\r\n"],
      [
        "a switch of protocols",
        "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
      ],
      ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
      ["an early end", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab"],
      ["long headers", `HTTP/1.1 200 OK\r\nA: ${"a".repeat(9_000)}\r\n\r\n`],
      ["no HTTP", "220 hello\r\n"],
      ["nothing", ""],
    ])("outlives servers that answer %s", async (_, answer) => {
      const box = await world.open(nextId(), { allow: ["*:8080"] });
      const path = Buffer.from(answer, "latin1").toString("hex");
      // Too long for a path: the server makes no difference between the two.
      const url = `http://api.example.com:8080/${path.length > 6_000 ? path.slice(0, 7_000) : path}`;
      const { stdout } = await box.curl("-i", url);
      expect(stdout).toMatch(/^HTTP\/1\.1 (?:502|200) /);
      const { stdout: next } = await box.curl("-o/dev/null", "-w%{http_code}", url);
      expect(next).toMatch(/502|200/);
    });

    it("says when a server cannot be reached", async () => {
      world.names.set("closed.example.com", [world.internet.secondAddress]);
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.curl("-i", "http://closed.example.com/");
      expect(stdout).toMatch(/^HTTP\/1\.1 502 [\s\S]*\(ECONNREFUSED\)/);
      expect((await box.curl("-i", "http://nowhere.example.com/")).stdout).toContain("(ENOTFOUND)");
    });

    it("bounds how many decisions it tells", async () => {
      const box = await world.open(nextId(), { allow: [] });
      await box.python(`
import http.client, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
for i in range(400):
    c = http.client.HTTPConnection(p.hostname, p.port); c.request('GET', 'http://a.example/'); c.getresponse().read(); c.close()
`);
      expect(world.decisions.length).toBeGreaterThan(49);
      expect(world.decisions.length).toBeLessThan(350);
    });
  });

  describe("addresses", () => {
    it.each([
      "127.0.0.1",
      "[::1]",
      "[::ffff:127.0.0.1]",
      "[::ffff:a9fe:a9fe]",
      "10.1.2.3",
      "192.168.0.1",
      "172.16.0.1",
      "100.64.0.1",
      "169.254.169.254",
      "168.63.129.16",
      "0.0.0.0",
      "224.0.0.1",
      "[fd00:ec2::254]",
      "[fe80::1]",
      "[64:ff9b::7f00:1]",
      "[2002:7f00:1::]",
      "[::7f00:1]",
    ])("refuses %s, whatever the rule", async (address) => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.curl("-i", "--noproxy", "", "--globoff", `http://${address}/`);
      expect(stdout).toMatch(/^HTTP\/1\.1 403 /);
      expect(stdout).toContain("x-longshore-egress: address");
      const tunnel = await box.raw(`CONNECT ${address}:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n`);
      expect(tunnel).toMatch(/^HTTP\/1\.1 403 /);
    });

    it("refuses the host's own public addresses", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { stdout } = await box.curl("-i", `http://${world.internet.hostAddress}/`);
      expect(stdout).toContain("x-longshore-egress: address");
    });

    it("lets a rule name one literally", async () => {
      const server = createServer((socket) => {
        socket.on("error", () => socket.destroy());
        socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nmine\n");
      }).listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address() as AddressInfo;
      try {
        const box = await world.open(nextId(), { allow: ["*", `127.0.0.1:${port}`] });
        expect((await box.curl("--noproxy", "", `http://127.0.0.1:${port}/`)).stdout).toBe(
          "mine\n",
        );
        expect((await box.curl("--noproxy", "", `http://127.0.0.1:${port + 1}/`)).stdout).toContain(
          "allow-list",
        );
        world.names.set("alias.example.com", ["127.0.0.1"]);
        const other = await world.open(nextId(), { allow: [`*:${port}`, `127.0.0.1:${port}`] });
        expect((await other.curl(`http://alias.example.com:${port}/`)).stdout).toContain(
          "public internet",
        );
      } finally {
        server.close();
      }
    });

    it("connects to the address that was checked, although the name changes", async () => {
      const box = await world.open(nextId(), { allow: ["rebind.example.com"] });
      world.names.set("rebind.example.com", ["127.0.0.1", world.internet.address]);
      const { stdout } = await box.curl("http://rebind.example.com/");
      expect((JSON.parse(stdout) as Echo).address).toBe(world.internet.address);
      world.names.set("rebind.example.com", ["169.254.169.254"]);
      world.lookups.length = 0;
      const tunnel = await box.raw(
        "CONNECT rebind.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
      );
      expect(tunnel).toContain("x-longshore-egress: address");
      expect(world.lookups).toStrictEqual(["rebind.example.com"]);
      await world.denied("address");
    });
  });

  describe("tunnels", () => {
    it("pass TLS through to the host's own certificate", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const curl = ["--cacert", world.authorityFile, "https://api.example.com/x"];
      const { stdout } = await box.curl(...curl);
      expect(JSON.parse(stdout)).toMatchObject({ url: "/x", port: 443 });
      await expect.poll(() => world.decisions.length).toBe(1);
      expect(world.decisions[0]?.data).toMatchObject({ host: "api.example.com", port: 443 });
      const refused = await box.curl("-i", "https://www.example.com/");
      expect(refused.stdout).toContain("HTTP/1.1 403");
    });

    it("work for Python and Node as they are", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const env = {
        ...box.env,
        SSL_CERT_FILE: world.authorityFile,
        NODE_EXTRA_CA_CERTS: world.authorityFile,
      };
      const python =
        "import urllib.request as u; print(u.urlopen('https://api.example.com/p').status)";
      const asked = await run(within(box.setup, "python3", "-c", python), env);
      expect(asked.stdout + asked.stderr).toBe("200\n");
      const node = "fetch('https://api.example.com/n').then((r) => console.log(r.status))";
      const fetched = await run(within(box.setup, process.execPath, "-e", node), env);
      expect(fetched.stdout).toBe("200\n");
    });

    it.each([
      ["another name", "server_hostname='www.example.com'"],
      ["no name", "server_hostname=None"],
    ])("end when the client asks the server for %s", async (_, name) => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const before = world.server.lines.length;
      const { stdout } = await box.python(`
import socket, ssl, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
s = socket.create_connection((p.hostname, p.port), 5)
s.sendall(b'CONNECT api.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
print(s.recv(1000).decode().split('\\r\\n')[0])
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
try:
    c.wrap_socket(s, ${name}); print('open')
except (ssl.SSLError, ConnectionError) as e: print('closed')
`);
      expect(stdout).toBe("HTTP/1.1 200 Connection established\nclosed\n");
      await world.denied("server-name");
      expect(world.server.lines.length).toBe(before);
    });

    it("look at a hello that comes byte by byte, and at the outer name of an encrypted one", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const program = (name: string, isEncrypted: boolean): string => `
import socket, ssl, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
s = socket.create_connection((p.hostname, p.port), 5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.sendall(b'CONNECT api.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); s.recv(1000)
c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE
i, o = ssl.MemoryBIO(), ssl.MemoryBIO()
t = c.wrap_bio(i, o, server_hostname='${name}')
try: t.do_handshake()
except ssl.SSLWantReadError: pass
hello = bytearray(o.read())
if ${isEncrypted ? "True" : "False"}:
    def add(at, n): hello[at:at + 2] = (int.from_bytes(hello[at:at + 2], 'big') + n).to_bytes(2, 'big')
    more = bytes.fromhex('fe0d003b000001000107' + '0020' + '01' * 32 + '0011') + b'inner.example.org'
    at = 43; at += 1 + hello[at]; at += 2 + int.from_bytes(hello[at:at + 2], 'big'); at += 1 + hello[at]
    hello += more
    for place in (3, 7, at): add(place, len(more))
for b in hello: s.send(bytes([b]))
print(len(s.recv(1)))
`;
      for (const isEncrypted of [false, true]) {
        expect((await box.python(program("api.example.com", isEncrypted))).stdout).toBe("1\n");
        expect((await box.python(program("www.example.com", isEncrypted))).stdout).toBe("0\n");
      }
    });

    it("end when something else than TLS is spoken to port 443, or nothing", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const open = "CONNECT api.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n";
      for (const parts of [
        [open, "GET / HTTP/1.1\\r\\n\\r\\n"],
        [open],
        [`${open}SSH-2.0-x\\r\\n`],
      ]) {
        world.decisions.length = 0;
        expect(await box.raw(...parts)).toBe(
          "HTTP/1.1 200 Connection established\r\n\r\n<closed>\n",
        );
        await world.denied("protocol");
      }
    });

    it("carry other protocols where a rule names the port", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com:22"] });
      const { stdout } = await box.python(`
import socket, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
s = socket.create_connection((p.hostname, p.port), 5)
s.sendall(b'CONNECT api.example.com:22 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')
f = s.makefile('rb')
print(f.readline().decode().strip()); f.readline()
print(f.readline().decode().strip())
s.sendall(b'ping\\n'); print(f.readline().decode().strip())
s.shutdown(socket.SHUT_WR); print(len(f.read()))
`);
      expect(stdout).toBe("HTTP/1.1 200 Connection established\n220 banner\nping\n0\n");
    });

    it("hold plain HTTP to the host of the tunnel", async () => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const open = "CONNECT api.example.com:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n";
      const right = await box.raw(
        open,
        "GET /in HTTP/1.1\\r\\nHost: api.example.com\\r\\nConnection: close\\r\\n\\r\\n",
      );
      expect(right).toContain('"url":"/in"');
      const wrong = await box.raw(open, "GET /in HTTP/1.1\\r\\nHost: www.example.com\\r\\n\\r\\n");
      expect(wrong).toMatch(/HTTP\/1\.1 421 /);
      const nested = await box.raw(
        open,
        "CONNECT www.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
      );
      expect(nested).toMatch(/200[\s\S]*HTTP\/1\.1 400 /);
    });

    it.each(["GET http://api.example.com/ws", "tunnel"])("carry WebSockets (%s)", async (way) => {
      const box = await world.open(nextId(), { allow: ["api.example.com"] });
      const path = way === "tunnel" ? "/ws" : "http://api.example.com/ws";
      const { stdout } = await box.python(`
import socket, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTP_PROXY'])
s = socket.create_connection((p.hostname, p.port), 5); f = s.makefile('rb')
if '${way}' == 'tunnel':
    s.sendall(b'CONNECT api.example.com:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); f.readline(); f.readline()
s.sendall(b'GET ${path} HTTP/1.1\\r\\nHost: api.example.com\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
print(f.readline().decode().strip())
while f.readline() != b'\\r\\n': pass
s.sendall(b'frame\\n'); print(f.readline().decode().strip())
`);
      expect(stdout).toBe("HTTP/1.1 101 Switching Protocols\nframe\n");
    });

    it("end with the sandbox", async () => {
      const id = nextId();
      const box = await world.open(id, { allow: ["api.example.com:22"] });
      const held = box.raw("CONNECT api.example.com:22 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n");
      await expect.poll(() => world.decisions.length).toBe(1);
      await world.net.network.tearDown(id);
      // The link is gone with it, so what the client sees is up to its kernel; the proxy has let go.
      expect(await held).toMatch(/<(closed|TimeoutError|ConnectionResetError|timeout)>/);
    });
  });

  describe("ways around", () => {
    it("are shut: no TCP, UDP, DNS or ICMP gets out, even with a route", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const { internet } = world;
      await internet.start(["python3", "-c", udpEcho, internet.address, "53"]);
      const tcp = async (): Promise<string> =>
        (await box.python(tcpClient, internet.address, "80", inVain)).stdout.trim();
      expect(await tcp()).toBe("OSError");
      const [gateway = ""] = new URL(box.env["HTTP_PROXY"] ?? "").hostname.split(":");
      await must(...within(box.setup, "ip", "route", "add", "default", "via", gateway));
      expect(await tcp()).toBe("TimeoutError");
      const dns = await box.python(udpClient, internet.address, "53", "question", inVain);
      expect(dns.stdout.trim()).toBe("TimeoutError");
      expect((await box.python(udpClient, gateway, "53", "question", inVain)).stdout.trim()).toBe(
        "TimeoutError",
      );
      const ping = await run(within(box.setup, "ping", "-c1", "-W1", internet.address));
      expect(ping.stdout).toContain("100% packet loss");
      expect((await box.python(tcpClient, gateway, "22", inVain)).stdout.trim()).toBe(
        "TimeoutError",
      );
    });

    it("stay shut when the sandbox has host ports, which work", async () => {
      const port = 18_975;
      const id = nextId();
      const setup = await world.net.open(
        id,
        podConfig({
          egress: { allow: [] },
          portMappings: [{ containerPort: 80, hostPort: port }],
        }),
      );
      const [command = "", ...args] = within(setup, "python3", "-c", tcpGreeter, "0.0.0.0", "80");
      const server = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
      try {
        await once(createInterface({ input: server.stdout }), "line");
        const { internet } = world;
        const remote = internet.on("python3", "-c", tcpClient, internet.hostAddress, String(port));
        expect(await must(...remote)).toMatch(/^hello 10\./);
        expect(await must("python3", "-c", tcpClient, "127.0.0.1", String(port))).toMatch(/^hello/);
        const out = within(setup, "python3", "-c", tcpClient, internet.address, "80", inVain);
        expect((await must(...out)).trim()).toBe("OSError");
      } finally {
        server.kill("SIGKILL");
        await once(server, "close");
      }
    });

    it("are shut: one sandbox cannot speak as another", async () => {
      const box = await world.open(nextId(), { allow: ["*"] });
      const shut = await world.open(nextId(), { allow: [] });
      const plain = await world.net.open(nextId(), podConfig());
      const stolen = box.setup.status?.ip ?? "";
      const proxy = new URL(box.env["HTTP_PROXY"] ?? "");
      const ask = `
import socket, sys
try:
    s = socket.create_connection(('${proxy.hostname}', ${proxy.port}), 1.5, (sys.argv[1], 0) if len(sys.argv) > 1 else None)
    s.sendall(b'GET http://api.example.com/ HTTP/1.1\\r\\nHost: a\\r\\nX-Forwarded-For: ${stolen}\\r\\n\\r\\n')
    print(s.recv(100).decode().split('\\r\\n')[0])
except Exception as e: print(type(e).__name__)
`;
      expect((await box.python(ask)).stdout.trim()).toBe("HTTP/1.1 200 OK");
      expect((await shut.python(ask)).stdout.trim()).toBe("HTTP/1.1 403 Forbidden");
      for (const setup of [shut.setup, plain]) {
        await must(...within(setup, "ip", "addr", "add", `${stolen}/32`, "dev", "eth0"));
        const asked = await must(...within(setup, "python3", "-c", ask, stolen));
        expect(asked.trim()).toBe("TimeoutError");
      }
      expect((await must(...within(plain, "python3", "-c", ask))).trim()).toBe("TimeoutError");
    });

    it("are shut for the host's own processes too: only sandboxes are served", async () => {
      await world.open(nextId(), { allow: ["*"] });
      const rules = await must("nft", "list", "chain", "inet", world.net.name, "prerouting");
      const port = /redirect to :(\d+)/.exec(rules)?.[1] ?? "";
      const gateway = /daddr ([\d.]+) tcp/.exec(rules)?.[1] ?? "";
      const { code } = await run([
        "curl",
        "-s",
        "-m5",
        "-x",
        `http://${gateway}:${port}`,
        "http://api.example.com/",
      ]);
      expect([52, 56]).toContain(code);
    });
  });
});
