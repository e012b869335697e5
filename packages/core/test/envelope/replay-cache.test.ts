import fc from "fast-check";
import { expect, it } from "vitest";
import { memoryReplayCache } from "../../src/index.ts";

it("keeps keys apart", async () => {
  const cache = memoryReplayCache();
  const use = { nonce: "n", expiresAtMs: 1_000, nowMs: 0 };
  expect(await cache.remember({ ...use, kid: "a" })).toBe("new");
  expect(await cache.remember({ ...use, kid: "b" })).toBe("new");
  expect(await cache.remember({ ...use, kid: "a" })).toBe("seen");
});

it("knows a nonce again under another time of expiry", async () => {
  const cache = memoryReplayCache();
  const use = { kid: "a", nonce: "n", nowMs: 0 };
  await cache.remember({ ...use, expiresAtMs: 1_000 });
  expect(await cache.remember({ ...use, expiresAtMs: 90_000 })).toBe("seen");
});

it("has room again once nonces have expired", async () => {
  const cache = memoryReplayCache({ capacityPerKey: 2 });
  const at = (nonce: string, nowMs: number): Promise<string> =>
    cache.remember({ kid: "a", nonce, expiresAtMs: nowMs + 300_000, nowMs });
  expect([await at("1", 0), await at("2", 0), await at("3", 0)]).toEqual(["new", "new", "full"]);
  expect(await at("3", 300_000)).toBe("full");
  expect(await at("3", 310_001)).toBe("new");
});

it("forgets nothing for a clock that goes back", async () => {
  const cache = memoryReplayCache();
  const old = { kid: "a", nonce: "old", expiresAtMs: 300_000 };
  await cache.remember({ ...old, nowMs: 0 });
  await cache.remember({ kid: "a", nonce: "new", expiresAtMs: 900_000, nowMs: 600_000 });
  expect(await cache.remember({ ...old, nowMs: 1 })).toBe("seen");
});

it("refuses a capacity that is not one", () => {
  expect(() => memoryReplayCache({ capacityPerKey: 0 })).toThrow(RangeError);
});

it("never takes a nonce twice while it counts, whatever came in between", async () => {
  const use = fc.record({
    nonce: fc.integer({ min: 0, max: 9 }).map(String),
    lifeMs: fc.integer({ min: 0, max: 60_000 }),
    passedMs: fc.integer({ min: 0, max: 9_000 }),
  });
  const uses = fc.array(use, { minLength: 20, maxLength: 200, size: "max" });
  const capacity = fc.integer({ min: 1, max: 20 });
  let replays = 0;
  await fc.assert(
    fc.asyncProperty(uses, capacity, async (steps, capacityPerKey) => {
      const cache = memoryReplayCache({ capacityPerKey });
      const countsUntil = new Map<string, number>();
      let nowMs = 0;
      for (const { nonce, lifeMs, passedMs } of steps) {
        nowMs += passedMs;
        const expiresAtMs = nowMs + lifeMs;
        const outcome = await cache.remember({ kid: "a", nonce, expiresAtMs, nowMs });
        if ((countsUntil.get(nonce) ?? -1) >= nowMs) {
          replays += 1;
          expect(outcome).toBe("seen");
        } else if (outcome === "new") countsUntil.set(nonce, expiresAtMs);
      }
    }),
  );
  expect(replays).toBeGreaterThan(100);
});
