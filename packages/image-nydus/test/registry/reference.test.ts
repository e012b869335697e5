import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatReference, parseImageSource, parseReference } from "../../src/registry/index.ts";

const hex = "0123456789abcdef".repeat(4);
const digest = `sha256:${hex}`;

describe("parseReference", () => {
  test.for([
    ["alpine", "docker.io/library/alpine:latest"],
    ["alpine:3.20", "docker.io/library/alpine:3.20"],
    ["grafana/grafana", "docker.io/grafana/grafana:latest"],
    ["docker.io/alpine", "docker.io/library/alpine:latest"],
    ["index.docker.io/alpine", "docker.io/library/alpine:latest"],
    ["localhost/x", "localhost/x:latest"],
    ["localhost:5000/x", "localhost:5000/x:latest"],
    ["host:5000/x/y__z:v1", "host:5000/x/y__z:v1"],
    ["ghcr.io/a/b/c", "ghcr.io/a/b/c:latest"],
    ["[::1]:5000/x", "[::1]:5000/x:latest"],
    [`alpine@${digest}`, `docker.io/library/alpine@${digest}`],
    [`alpine:3@${digest}`, `docker.io/library/alpine:3@${digest}`],
    ["a--b/c.d_e", "docker.io/a--b/c.d_e:latest"],
    [`a${hex}`, `docker.io/library/a${hex}:latest`],
  ])("%s is %s", ([text = "", full = ""]) => {
    expect(formatReference(parseReference(text))).toBe(full);
  });

  test("keeps a tag beside a digest", () => {
    expect(parseReference(`quay.io/a/b:v1@${digest}`)).toEqual({
      registry: "quay.io",
      repository: "a/b",
      tag: "v1",
      digest,
    });
  });

  test.for([
    "",
    "Alpine",
    "FOO/bar",
    "a//b",
    "/a",
    "a/",
    "-a",
    "a___b",
    "a..b",
    "../a",
    "host:5000/../x",
    "host:99999/x",
    "host:0/x",
    "host.x:/a",
    "ho_st.x/a",
    "[::g]:5000/x",
    "user@host.x/a",
    "https://host.x/a",
    "alpine:",
    "alpine:-x",
    `alpine:${"t".repeat(129)}`,
    "alpine:a:b",
    "alpine@sha256:abc",
    `alpine@sha256:${hex.toUpperCase()}`,
    `alpine@md5:${"a".repeat(32)}`,
    `alpine@${digest}@${digest}`,
    hex,
    "a b",
    "a\n",
    "a\0",
    "ä",
    "a".repeat(256),
    "a/".repeat(600),
  ])("refuses %j", (text) => {
    expect(() => parseReference(text)).toThrow(
      expect.objectContaining({ code: "VALIDATION_ERROR" }),
    );
  });

  test("reads back what formatReference writes", () => {
    const word = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    const component = fc
      .tuple(
        word,
        fc.array(fc.tuple(fc.constantFrom(".", "_", "__", "-", "--"), word), { maxLength: 3 }),
      )
      .map(([first, rest]) => first + rest.map(([separator, next]) => separator + next).join(""));
    const registry = fc.oneof(
      fc.constantFrom("docker.io", "localhost", "[::1]", "[fe80::1]:443", "127.0.0.1:5000"),
      fc.stringMatching(/^[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4})?\.[a-z]{2,4}(:[1-9][0-9]{0,3})?$/),
    );
    const reference = fc.record(
      {
        registry,
        repository: fc
          .array(component, { minLength: 2, maxLength: 4 })
          .map((parts) => parts.join("/")),
        tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/),
        digest: fc.stringMatching(/^sha256:[0-9a-f]{64}$/),
      },
      { requiredKeys: ["registry", "repository"] },
    );
    fc.assert(
      fc.property(reference, (wanted) => {
        const isBare = wanted.tag === undefined && wanted.digest === undefined;
        const expected = isBare ? { ...wanted, tag: "latest" } : wanted;
        expect(parseReference(formatReference(wanted))).toEqual(expected);
      }),
    );
  });

  test("either refuses a text or normalises it once and for all", () => {
    const alphabet = fc.constantFrom(
      ..."a b 0 . : / @ _ - [ ] A".split(" "),
      "sha256:",
      "localhost/",
      digest,
    );
    fc.assert(
      fc.property(fc.array(alphabet, { maxLength: 20 }), (parts) => {
        let full: string;
        try {
          full = formatReference(parseReference(parts.join("")));
        } catch (error) {
          expect(error).toMatchObject({ code: "VALIDATION_ERROR" });
          return;
        }
        expect(formatReference(parseReference(full))).toBe(full);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("parseImageSource", () => {
  test("knows directories, archives and references", () => {
    expect(parseImageSource("oci:/a/b")).toEqual({ kind: "oci", path: "/a/b" });
    expect(parseImageSource("oci:/a/b:1.0")).toEqual({ kind: "oci", path: "/a/b", tag: "1.0" });
    expect(parseImageSource("oci-archive:/a.tar:docker.io/x/y:1")).toEqual({
      kind: "oci-archive",
      path: "/a.tar",
      tag: "docker.io/x/y:1",
    });
    expect(parseImageSource("docker-archive:/a.tar:alpine:3")).toEqual({
      kind: "docker-archive",
      path: "/a.tar",
      tag: "alpine:3",
    });
    expect(parseImageSource("alpine")).toMatchObject({ kind: "registry" });
  });

  test.for(["oci:", "oci::tag", "oci:/a:", "oci:/a:b c", "docker-archive:/a.tar:NO", "oci:/a\0b"])(
    "refuses %j",
    (text) => {
      expect(() => parseImageSource(text)).toThrow(
        expect.objectContaining({ code: "VALIDATION_ERROR" }),
      );
    },
  );
});
