import { describe, expect, it } from "vitest";
import { isImageMatch, normalizeImage } from "../../src/index.ts";

const digest = `sha256:${"5f".repeat(32)}`;

it.each([
  ["alpine", "docker.io/library/alpine:latest"],
  ["alpine:3.20", "docker.io/library/alpine:3.20"],
  ["docker.io/alpine", "docker.io/library/alpine:latest"],
  ["index.docker.io/library/alpine", "docker.io/library/alpine:latest"],
  ["me/tool", "docker.io/me/tool:latest"],
  ["ghcr.io/me/tool", "ghcr.io/me/tool:latest"],
  ["localhost/tool", "localhost/tool:latest"],
  ["localhost:5000/tool", "localhost:5000/tool:latest"],
  ["localhost:5000/tool:1", "localhost:5000/tool:1"],
  [`alpine@${digest}`, `docker.io/library/alpine@${digest}`],
  [`alpine:3@${digest}`, `docker.io/library/alpine:3@${digest}`],
])("%s is short for %s", (reference, full) => {
  expect(normalizeImage(reference)).toBe(full);
  expect(normalizeImage(full)).toBe(full);
});

it.each([
  "",
  "Alpine",
  "host:port/alpine",
  "-alpine",
  "--privileged",
  "alpine\n",
  "al pine",
  "../alpine",
  "me/../tool",
  "me//tool",
  "alpine:",
  "alpine:-x",
  "alpine@sha256:123",
  `alpine@${digest}@${digest}`,
  "http://example.com/alpine",
  "a".repeat(600),
])("%j is no image reference", (reference) => {
  expect(() => normalizeImage(reference)).toThrow(
    expect.objectContaining({ code: "VALIDATION_ERROR" }),
  );
  expect(() => isImageMatch(reference, "*")).toThrow("is not an image reference");
});

it.each([
  ["alpine", "alpine", true],
  ["docker.io/library/alpine:latest", "alpine", true],
  ["alpine:3", "alpine", false],
  ["alpine:3", "alpine:*", true],
  ["alpine", "alpine:*", true],
  ["alpine-evil:3", "alpine:*", false],
  ["evil/alpine:3", "alpine:*", false],
  ["ghcr.io/library/alpine:3", "alpine:*", false],
  [`alpine@${digest}`, "alpine:*", false],
  ["localhost:5000/tool:1", "localhost:5000/tool:*", true],
  ["localhost:5001/tool:1", "localhost:5000/tool:*", false],
  ["ghcr.io/me/tool", "ghcr.io/me/*", true],
  ["ghcr.io/me/deep/tool:1", "ghcr.io/me/*", true],
  ["ghcr.io/me2/tool", "ghcr.io/me/*", false],
  ["ghcr.io/tool", "ghcr.io/*", true],
  ["me/tool", "me/*", true],
  ["alpine", "library/*", true],
  ["alpine", "docker.io/*", true],
  ["me/tool", "docker.io/*", true],
  ["ghcr.io/me/tool", "docker.io/*", false],
  [`ghcr.io/me/tool@${digest}`, `*@${digest}`, true],
  [`ghcr.io/me/tool@sha256:${"00".repeat(32)}`, `*@${digest}`, false],
  ["alpine", `*@${digest}`, false],
  ["anything/at:all", "*", true],
])("%s is matched by %s: %s", (reference, pattern, isMatch) => {
  expect(isImageMatch(reference, pattern)).toBe(isMatch);
});

describe("an image of the host", () => {
  const image = "oci:/srv/images/app:1.2";

  it("has no other name", () => {
    expect(normalizeImage(image)).toBe(image);
    expect(normalizeImage("docker-archive:/srv/a.tar:me/app:1")).toBe(
      "docker-archive:/srv/a.tar:me/app:1",
    );
  });

  it.each([
    [image, image, true],
    [image, "*", false],
    [image, "oci:/srv/images/app:*", false],
    [image, "oci:/srv/images/*", false],
    ["oci:/srv/images/../../etc:1", "oci:/srv/images/*", false],
    [image, "oci:/srv/images/app", false],
    ["oci:/srv/images/app", image, false],
    ["alpine", image, false],
    ["oci:latest", image, false],
    ["oci:latest", "*", true],
  ])("%s fits the pattern %s: %s", (reference, pattern, fits) => {
    expect(isImageMatch(reference, pattern)).toBe(fits);
  });

  it.each(["oci:relative/dir:1", "oci:./dir", "oci:/dir with space", "oci:/dir:", "oci:/d\n"])(
    "is not meant by %j",
    (text) => {
      expect(() => normalizeImage(text)).toThrow("is not an image reference");
    },
  );
});
