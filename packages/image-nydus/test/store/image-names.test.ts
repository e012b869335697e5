import { describe, expect, it } from "vitest";
import { parseImageSource } from "../../src/registry/image-location.ts";
import { namesThatGoWith, originOf } from "../../src/store/image-names.ts";

const digest = `sha256:${"a".repeat(64)}`;

describe("where an image came from", () => {
  it.each([
    ["alpine", "alpine"],
    ["oci:image:one", `oci:${process.cwd()}/image:one`],
    ["oci-archive:../image.tar", `oci-archive:${process.cwd().replace(/\/[^/]*$/, "")}/image.tar`],
    ["docker-archive:/tmp/x.tar:app:1", "docker-archive:/tmp/x.tar:app:1"],
  ])("is found again from any directory: %s", (text, origin) => {
    expect(originOf(parseImageSource(text), text)).toBe(origin);
  });
});

describe("a name that is taken off an image", () => {
  const tags = ["docker.io/library/app:1", "docker.io/library/app:2", "localhost/other:1"];
  const digests = [`docker.io/library/app@${digest}`, `localhost/other@${digest}`];

  it("goes alone while its repository has another tag", () => {
    expect(namesThatGoWith("docker.io/library/app:1", [...tags, ...digests])).toEqual([
      "docker.io/library/app:1",
    ]);
  });

  it("takes the digests of its repository along as the last tag of it", () => {
    expect(namesThatGoWith("localhost/other:1", [...tags, ...digests])).toEqual([
      "localhost/other:1",
      `localhost/other@${digest}`,
    ]);
  });

  it("leaves tags alone as a digest", () => {
    expect(namesThatGoWith(`localhost/other@${digest}`, [...tags, ...digests])).toEqual([
      `localhost/other@${digest}`,
    ]);
  });
});
