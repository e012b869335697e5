import { describe, expect, test } from "vitest";
import { dockerfileImages } from "../src/dockerfile-images.ts";

describe("the images of a Dockerfile", () => {
  test.each([
    ["FROM alpine", ["alpine"]],
    ["from --platform=linux/amd64 alpine:3 AS build\nFROM build\nRUN true", ["alpine:3"]],
    ["# a comment\nARG A=1\nFROM scratch\nCOPY a /", []],
    ["FROM a AS x\nFROM b\nCOPY --from=x /f /f\nCOPY --from=0 /g /g", ["a", "b"]],
    ["FROM a\nCOPY --chown=1:1 --from=evil /f /f", ["a", "evil"]],
    ["FROM a\nRUN --mount=type=bind,from=evil,target=/x cat /x", ["a", "evil"]],
    ["FROM a\nRUN dd from=x --from=y", ["a"]],
    ["FROM a\nCOPY \\\n  --from=evil /f /f", ["a", "evil"]],
    ["FROM a\nRUN echo \\\n# FROM comment\n  more", ["a"]],
    // Builders put these together: no blank is added.
    ["FROM a\nCO\\\nPY --from=evil /f /f", ["a", "evil"]],
    ["FROM a\nFR\\\nOM evil", ["a", "evil"]],
    ["FROM a\nCOPY --from=1 /f /f", ["a", "1"]],
    // What looks like one is taken for one.
    ["FROM a\nRUN <<EOF\nFROM evil\nEOF", ["a", "evil"]],
  ])("%j are %j", (text, images) => {
    expect(dockerfileImages(text)).toEqual(images);
  });

  test.each([
    "",
    "RUN true",
    "# syntax=docker/dockerfile:1\nFROM a",
    "#escape=`\nFROM a",
    "ARG X=evil\nFROM $X",
    'FROM "a"',
    "FROM \\\n evil",
    "FROM a as",
    "FROM a b c",
    "FROM a\nADD https://example.com/x /x",
    "FROM a\nADD git@example.com:x.git /x",
    "FROM a\nARG U\nADD $U /x",
    'FROM a\nADD ["https://example.com/x", "/x"]',
    "FROM a\nRUN --network=host true",
    "FROM a\nRUN --security=insecure true",
    "FROM a\nCOPY --from=$X /f /f",
  ])("%j is not accepted", (text) => {
    expect(() => dockerfileImages(text)).toThrow(/runtime\.build\.dockerfile/);
  });
});
