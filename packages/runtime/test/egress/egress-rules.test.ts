import { connect as tlsConnect } from "node:tls";
import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { readClientHello } from "../../src/egress/client-hello.ts";
import {
  findRule,
  normalizeHost,
  parseAuthority,
  parseEgressRules,
} from "../../src/egress/egress-rules.ts";
import { isPublicAddress } from "../../src/egress/public-address.ts";
import { secretSwap } from "../../src/egress/secret-swap.ts";

describe("egress rules", () => {
  it.each([
    ["example.com", "example.com", 443, true],
    ["example.com", "example.com", 80, true],
    ["example.com", "example.com", 8080, false],
    ["example.com:8080", "example.com", 8080, true],
    ["example.com:8080", "example.com", 443, false],
    ["example.com", "a.example.com", 443, false],
    ["*.example.com", "a.example.com", 443, true],
    ["*.example.com", "a.b.example.com", 443, true],
    ["*.example.com", "example.com", 443, false],
    ["*.example.com", "badexample.com", 443, false],
    ["*", "anything.org", 443, true],
    ["*", "anything.org", 22, false],
    ["*:22", "anything.org", 22, true],
    ["EXAMPLE.com.", "example.COM", 443, true],
    ["bücher.example", "xn--bcher-kva.example", 443, true],
    ["[2001:DB8::0:1]:443", "[2001:db8::1]", 443, true],
    ["2001:db8::1", "[2001:db8::1]", 443, true],
    ["10.0.0.1", "[::ffff:10.0.0.1]", 443, true],
  ] as const)("%s: %s at %i is %s", (...[rule, host, port, isAllowed]) => {
    const rules = parseEgressRules([rule], "egress.allow");
    expect(findRule(rules, normalizeHost(host) ?? "", port) !== undefined).toBe(isAllowed);
  });

  it.each([
    "",
    "a b",
    "http://a.com",
    "a.com/x",
    "a.com:",
    "a.com:0",
    "a.com:65536",
    "a..b",
    "*.*",
    "a.*.b",
    "**",
    "*a.com",
    "*.0.0.1",
    "-a.com",
    "a@b.com",
    "[::1",
    "127.1",
    "0x7f000001",
    "::1%eth0",
    "a\nb",
    `${"a".repeat(64)}.com`,
    `${"a.".repeat(130)}com`,
  ])("refuses the rule %j", (rule) => {
    expect(() => parseEgressRules([rule], "egress.allow")).toThrow(/egress\.allow\[0\] must be/);
  });

  it.each([
    "a.com",
    "a.com:x",
    "a.com:443/",
    "u@a.com:443",
    "a.com:443:1",
    "[::1]",
    "a.com:99999",
    " a.com:1",
    "a.com :1",
    "a.com:1\n",
  ])("reads no authority from %j", (text) => {
    expect(parseAuthority(text)).toBeUndefined();
  });
});

describe("addresses", () => {
  it.each([
    "1.1.1.1",
    "44.0.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "2606:4700::1111",
    "64:ff9b::101:101",
  ])("%s is public", (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    "127.0.0.1",
    "0.1.2.3",
    "10.255.0.1",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "198.18.0.1",
    "255.255.255.255",
    "239.1.1.1",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "2002:a00:1::",
    "64:ff9b::a00:1",
    "fec0::1",
    "localhost",
    "",
  ])("%j is not", (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

/** Adds `encrypted_client_hello`, of type outer, as in RFC 9849 §5; what is within is encrypted, and here a name in the clear. */
function withEncryptedHello(hello: Buffer): Buffer {
  const payload = Buffer.from("inner.example.org");
  const key = Buffer.alloc(32, 1);
  const sized = (bytes: Buffer): Buffer => Buffer.concat([Buffer.of(0, bytes.length), bytes]);
  const data = Buffer.concat([Buffer.of(0, 0, 1, 0, 1, 7), sized(key), sized(payload)]);
  const extension = Buffer.concat([Buffer.of(0xfe, 0x0d), sized(data)]);
  const whole = Buffer.concat([hello, extension]);
  const add = (at: number): void => {
    whole.writeUInt16BE(whole.readUInt16BE(at) + extension.length, at);
  };
  // Sizes of the record, of the message (24 bits), and of all extensions.
  add(3);
  add(7);
  let at = 9 + 2 + 32;
  at += 1 + whole.readUInt8(at);
  at += 2 + whole.readUInt16BE(at);
  at += 1 + whole.readUInt8(at);
  add(at);
  return whole;
}

describe("the first bytes of a connection", () => {
  it("show the name that a real client asks for, whole or in pieces", async () => {
    const hello = await clientHello("www.example.com");
    expect(readClientHello(hello)).toStrictEqual({ kind: "tls", serverName: "www.example.com" });
    for (let size = 0; size < hello.length; size += 1) {
      expect(readClientHello(hello.subarray(0, size)).kind).toBe("incomplete");
    }
  });

  it("show it also when the hello is split over records", async () => {
    const hello = await clientHello("www.example.com");
    const body = hello.subarray(5);
    const records: Buffer[] = [];
    for (let at = 0; at < body.length; at += 3) {
      const part = body.subarray(at, at + 3);
      records.push(Buffer.from([0x16, 3, 1, 0, part.length]), part);
    }
    expect(readClientHello(Buffer.concat(records))).toMatchObject({
      serverName: "www.example.com",
    });
  });

  it("show the outer name of an encrypted hello, whatever name is within", async () => {
    for (const outer of ["www.example.com", ""]) {
      const hello = withEncryptedHello(await clientHello(outer));
      expect(readClientHello(hello)).toStrictEqual({ kind: "tls", serverName: outer || undefined });
    }
  });

  it("show when there is no name", async () => {
    expect(readClientHello(await clientHello(""))).toStrictEqual({
      kind: "tls",
      serverName: undefined,
    });
  });

  it.each([
    "GET / HTTP/1.1",
    "SSH-2.0",
    "\u0016\u0002",
    "\u0016\u0003\u0001\u0000\u0000",
    "\u0016\u0003\u0001\u0000\u0001\u0002",
  ])("are something else: %j", (text) => {
    expect(readClientHello(Buffer.from(text, "latin1")).kind).toBe("other");
  });

  it("never make it throw, whatever is broken in them", async () => {
    const hello = await clientHello("www.example.com");
    for (let at = 0; at < hello.length; at += 1) {
      for (const value of [0, 1, 0x7f, 0xff]) {
        const broken = Buffer.from(hello);
        broken[at] = value;
        expect(["incomplete", "other", "tls"]).toContain(readClientHello(broken).kind);
      }
    }
  });
});

describe("secrets", () => {
  const rules = parseEgressRules(["*.example.com", "api.example.org:8443"], "egress.allow");
  const good = { placeholder: "PLACEHOLDER_0123456789", value: "v", hosts: ["api.example.com"] };

  it.each([
    ["a short placeholder", { ...good, placeholder: "short" }, "placeholder"],
    [
      "a placeholder with odd characters",
      { ...good, placeholder: "a b c d e f g h i j k" },
      "placeholder",
    ],
    ["an empty value", { ...good, value: "" }, "value"],
    ["a value with a line break", { ...good, value: "a\r\nHost: evil" }, "value"],
    ["a value with its placeholder", { ...good, value: `x${good.placeholder}` }, "value"],
    ["no hosts", { ...good, hosts: [] }, "hosts"],
    ["a host that is not allowed", { ...good, hosts: ["example.org"] }, "hosts[0]"],
    ["a port that is not allowed", { ...good, hosts: ["api.example.org"] }, "hosts[0]"],
    ["more hosts than are allowed", { ...good, hosts: ["*"] }, "hosts[0]"],
  ])("refuses %s, without telling the value", (_, secret, field) => {
    const make = (): unknown => secretSwap([secret], rules);
    expect(make).toThrow(`egress.secrets[0].${field}`);
    if (secret.value.length > 3) expect(make).not.toThrow(secret.value);
  });

  it("refuses placeholders that are the same or parts of each other", () => {
    const longer = { ...good, placeholder: `${good.placeholder}X` };
    for (const other of [good, longer]) {
      expect(() => secretSwap([good, other], rules)).toThrow("placeholder");
    }
  });
});

/** The bytes that Node's TLS sends first. */
function clientHello(servername: string): Promise<Buffer> {
  return new Promise((resolve) => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        done();
        resolve(chunk);
        // Nobody answers: the client is put away with the wire.
        this.destroy();
      },
    });
    const socket = tlsConnect({ socket: wire, servername });
    socket.on("error", () => {});
  });
}
