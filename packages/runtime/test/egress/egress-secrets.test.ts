import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cannotMakeNetworks, must, run, within } from "../network/network-fixture.ts";
import { egressWorld, type EgressWorld, type Sandbox } from "./egress-fixture.ts";

const placeholder = "LONGSHORE_SECRET_0123456789abcdef";
const secret = "sk-very-secret-$&-value";
const otherPlaceholder = "LONGSHORE_SECRET_fedcba9876543210";
const otherSecret = "other-secret";

let world: EgressWorld;
let box: Sandbox;

interface Echo {
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly url: string;
}

describe.skipIf(cannotMakeNetworks)("secrets at the egress proxy (need root)", () => {
  beforeAll(async () => {
    world = await egressWorld();
    box = await world.open("box", {
      allow: ["*.example.com", "*.example.com:8443", "api.example.org"],
      secrets: [
        { placeholder, value: secret, hosts: ["api.example.com", "api.example.com:8443"] },
        { placeholder: otherPlaceholder, value: otherSecret, hosts: ["www.example.com"] },
      ],
    });
  });
  afterAll(() => world[Symbol.asyncDispose]());
  beforeEach(() => {
    world.decisions.length = 0;
  });
  afterEach(() => {
    const told = JSON.stringify(world.decisions);
    if (told.includes(secret) || told.includes(placeholder)) throw new Error(told);
  });

  it("are swapped in the headers of requests to their host", async () => {
    const { stdout, stderr } = await box.curl(
      "-H",
      `Authorization: Bearer ${placeholder}`,
      "-H",
      `X-Two: ${placeholder},${placeholder}`,
      "https://api.example.com/me",
    );
    expect(stderr).toBe("");
    const { headers } = JSON.parse(stdout) as Echo;
    expect(headers["authorization"]).toBe(`Bearer ${secret}`);
    expect(headers["x-two"]).toBe(`${secret},${secret}`);
  });

  it("are swapped inside Basic credentials", async () => {
    const { stdout } = await box.curl("-u", `user:${placeholder}`, "https://api.example.com/");
    const { headers } = JSON.parse(stdout) as Echo;
    const [scheme, credentials = ""] = (headers["authorization"] ?? "").split(" ");
    expect(scheme).toBe("Basic");
    expect(Buffer.from(credentials, "base64").toString()).toBe(`user:${secret}`);
  });

  it("are swapped nowhere else: neither in the path nor in the body", async () => {
    const { stdout } = await box.curl(
      "-d",
      placeholder,
      `https://api.example.com/?k=${placeholder}`,
    );
    expect(JSON.parse(stdout)).toMatchObject({ body: placeholder, url: `/?k=${placeholder}` });
    expect(stdout).not.toContain(secret);
  });

  it("work for Python and Node through the variables they read", async () => {
    const python = `
import urllib.request as u
r = u.Request('https://api.example.com/', headers={'Authorization': 'token ${placeholder}'})
print(u.urlopen(r).read().decode())`;
    expect((JSON.parse((await box.python(python)).stdout) as Echo).headers["authorization"]).toBe(
      `token ${secret}`,
    );
    const node = `fetch('https://api.example.com/', { headers: { authorization: '${placeholder}' } })
      .then((r) => r.text()).then((t) => console.log(t))`;
    const { stdout } = await run(within(box.setup, process.execPath, "-e", node), box.env);
    expect((JSON.parse(stdout) as Echo).headers["authorization"]).toBe(secret);
  });

  it.each([
    ["a host of another secret", ["https://www.example.com/"]],
    ["a host over plain HTTP", ["http://api.example.com/"]],
    ["a host without secrets, over plain HTTP", ["http://api.example.org/"]],
    ["another host in its path", [`https://www.example.com/${placeholder}`]],
    ["another host in a header's name", ["-H", `x-${placeholder}: 1`, "https://www.example.com/"]],
    [
      "another host in Basic credentials",
      ["-u", `user:${placeholder}`, "https://www.example.com/"],
    ],
  ])("are refused to %s", async (_, args) => {
    const before = world.server.lines.length;
    const header = args.length === 1 && !args[0]?.includes(placeholder);
    const { stdout } = await box.curl(
      "-i",
      ...(header ? ["-H", `A: ${placeholder}`] : []),
      ...args,
    );
    expect(stdout).toMatch(/HTTP\/1\.1 403 [\s\S]*x-longshore-egress: placeholder/);
    await world.denied("placeholder");
    expect(world.server.lines.length).toBe(before);
  });

  it("never go to a server that does not prove who it is", async () => {
    const { stdout } = await box.curl(
      "-i",
      "-H",
      `A: ${placeholder}`,
      "https://api.example.com:8443/",
    );
    expect(stdout).toMatch(/HTTP\/1\.1 502 /);
    expect(world.server.lines.join("\n")).not.toContain("8443");
  });

  it("never go to another host by a Host header or a server name", async () => {
    const { stdout } = await box.curl(
      "-i",
      "-H",
      "Host: www.example.com",
      "https://api.example.com/",
    );
    expect(stdout).toMatch(/HTTP\/1\.1 421 /);
    await world.denied("server-name");
    const connectTo = ["--connect-to", "www.example.com:443:api.example.com:443"];
    const fronted = await box.curl(...connectTo, "-k", "https://www.example.com/");
    expect(fronted.code).not.toBe(0);
  });

  it("do not come back by TRACE", async () => {
    const { stdout } = await box.curl(
      "-i",
      "-X",
      "TRACE",
      "-H",
      `A: ${placeholder}`,
      "https://api.example.com/",
    );
    expect(stdout).toMatch(/HTTP\/1\.1 400 [\s\S]*x-longshore-egress: protocol/);
  });

  it("leave hosts without secrets alone", async () => {
    const { code } = await box.curl("https://api.example.org/");
    expect(code).toBe(60);
    const { stdout } = await box.curl("--cacert", world.authorityFile, "https://api.example.org/");
    expect(JSON.parse(stdout)).toMatchObject({ port: 443 });
  });

  it("do not keep answers from streaming", async () => {
    const { stdout } = await box.python(`
import urllib.request as u
r = u.urlopen('https://api.example.com/stream')
print(r.readline().decode().strip(), flush=True)
u.urlopen('https://api.example.com/go-on').read()
print(r.readline().decode().strip())`);
    expect(stdout).toBe("first\nsecond\n");
  });

  it("are swapped when a WebSocket is opened", async () => {
    const { stdout, stderr } = await box.python(`
import socket, ssl, os
from urllib.parse import urlparse
p = urlparse(os.environ['HTTPS_PROXY'])
s = socket.create_connection((p.hostname, p.port), 10)
s.sendall(b'CONNECT api.example.com:443 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'); s.recv(1000)
t = ssl.create_default_context().wrap_socket(s, server_hostname='api.example.com'); f = t.makefile('rb')
t.sendall(b'GET /ws HTTP/1.1\\r\\nHost: api.example.com\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\nAuthorization: ${placeholder}\\r\\n\\r\\n')
while True:
    l = f.readline().decode().strip()
    if l == '': break
    if 'uthorization' in l: print(l)
t.sendall(b'frame\\n'); print(f.readline().decode().strip())`);
    expect(stderr).toBe("");
    expect(stdout.toLowerCase()).toBe(`x-authorization: ${secret}\nframe\n`.toLowerCase());
  });

  it("need a large body to arrive whole and not at once", async () => {
    const { stdout } = await box.python(`
import urllib.request as u, json
b = b'x' * (8 << 20)
print(len(json.loads(u.urlopen(u.Request('https://api.example.com/', data=b, method='PUT')).read())['body']))`);
    expect(stdout).toBe(`${8 << 20}\n`);
  });

  it("come with an authority of the sandbox's own, in files beside the host's", async () => {
    const files = box.setup.files ?? {};
    expect(Object.keys(files).toSorted()).toStrictEqual([
      "/run/longshore/egress/ca-bundle.pem",
      "/run/longshore/egress/ca.pem",
    ]);
    const text = await must(
      "openssl",
      "x509",
      "-noout",
      "-text",
      "-in",
      box.env["NODE_EXTRA_CA_CERTS"] ?? "",
    );
    expect(text).toContain("CA:TRUE, pathlen:0");
    expect(text).toContain("Longshore sandbox box");
    const other = await world.open("other", {
      allow: ["api.example.com"],
      secrets: [{ placeholder, value: secret, hosts: ["api.example.com"] }],
    });
    expect(other.env["SSL_CERT_FILE"]).not.toBe(box.env["SSL_CERT_FILE"]);
    const { code } = await other.curl(
      "--cacert",
      box.env["SSL_CERT_FILE"] ?? "",
      "https://api.example.com/",
    );
    expect(code).toBe(60);
    await world.net.network.tearDown("other");
    expect((await run(["ls", other.env["SSL_CERT_FILE"] ?? ""])).code).not.toBe(0);
  });
});
