import { expect, it } from "vitest";
import { rewriteConfig } from "../../src/publish/rewrite-config.ts";
import { digestOf } from "../../src/registry/digest.ts";

const layers = [
  { diffId: `sha256:${"a".repeat(64)}`, comment: "one" },
  { diffId: `sha256:${"b".repeat(64)}`, comment: "two" },
];

function rewritten(config: object) {
  const { bytes, descriptor } = rewriteConfig(Buffer.from(JSON.stringify(config)), layers);
  expect(descriptor).toMatchObject({ digest: digestOf(bytes), size: bytes.length });
  return { bytes, file: JSON.parse(bytes.toString()) };
}

it("changes nothing but layers and history", () => {
  const { file } = rewritten({
    "moby.x": { y: [1] },
    rootfs: { type: "layers", diff_ids: ["sha256:old"] },
    config: { Env: ["A=<&>"], Healthcheck: { Interval: 30_000_000_000 } },
    created: "2020-01-01T00:00:00Z",
    history: [{ created_by: "COPY" }, { created_by: "ENV", empty_layer: true }],
  });
  expect(Object.keys(file)).toEqual(["moby.x", "rootfs", "config", "created", "history"]);
  expect(file).toEqual({
    "moby.x": { y: [1] },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    config: { Env: ["A=<&>"], Healthcheck: { Interval: 30_000_000_000 } },
    created: "2020-01-01T00:00:00Z",
    history: [
      { created_by: "COPY", empty_layer: true },
      { created_by: "ENV", empty_layer: true },
      { created: "2020-01-01T00:00:00Z", created_by: "longshore image push", comment: "one" },
      { created: "2020-01-01T00:00:00Z", created_by: "longshore image push", comment: "two" },
    ],
  });
});

it("does the same when it is done again", () => {
  const { bytes, file } = rewritten({ rootfs: {}, history: [{ created_by: "COPY" }] });
  expect(rewritten(file).bytes.equals(bytes)).toBe(true);
});

it("makes a history where there is none, without a time", () => {
  for (const history of [undefined, null, []]) {
    const { file } = rewritten({ rootfs: {}, history });
    expect(file.history).toEqual([
      { created_by: "longshore image push", comment: "one" },
      { created_by: "longshore image push", comment: "two" },
    ]);
  }
});
