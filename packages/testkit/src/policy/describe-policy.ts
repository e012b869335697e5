import type { Policy, PolicyRequest } from "@longshore/core";
import { expect } from "vitest";
import { suite, type SkippedCases } from "../suite-cases.ts";

export interface PolicySuiteOptions {
  /** Makes the policy; called for each case */
  create(): Policy | Promise<Policy>;
  /** Something it allows; leave out for one that allows nothing */
  readonly allowed?: PolicyRequest | undefined;
  /** Something it denies; leave out for one that denies nothing */
  readonly denied?: PolicyRequest | undefined;
  readonly skip?: SkippedCases | undefined;
}

/** Nobody's request: no rule of any policy names its parts. */
const strangers: PolicyRequest = {
  subject: "token:nobody-7f3a",
  domain: "*",
  object: "job:default/system.echo",
  action: "execute",
};

const strangeTexts = [
  "",
  "*",
  "**",
  "a,b",
  "a\nb",
  "a\0b",
  '"',
  "../..",
  "\ud800",
  "é",
  "x".repeat(10_000),
];

/** The contract of `Policy`, as tests. Call it in a test file. */
export function describePolicyConformance(name: string, options: PolicySuiteOptions): void {
  const { allowed, denied, skip = {} } = options;
  const create = async (): Promise<Policy> => options.create();

  suite(`Policy: ${name}`, skip, (test) => {
    test("has a name", async () => {
      const policy = await create();
      expect(policy.name).toMatch(/^\S+$/);
    });

    if (allowed !== undefined) {
      test("allows what it is meant to allow, and names the rule", async () => {
        const policy = await create();
        expect(await policy.check(allowed)).toEqual({
          allowed: true,
          matchedRule: expect.stringMatching(/./),
        });
      });
    }

    if (denied !== undefined) {
      test("denies what it is meant to deny", async () => {
        const policy = await create();
        expect(await policy.check(denied)).toMatchObject({ allowed: false });
      });

      test("denies a subject that it does not know", async () => {
        const policy = await create();
        expect(await policy.check(strangers)).toMatchObject({ allowed: false });
      });

      test("denies a request whose parts are no names, and never rejects", async () => {
        const policy = await create();
        const base = allowed ?? strangers;
        for (const text of strangeTexts) {
          for (const part of ["subject", "object", "action"] as const) {
            const decision = await policy.check({ ...base, [part]: text });
            expect(decision, `${part} ${JSON.stringify(text.slice(0, 20))}`).toMatchObject({
              allowed: false,
            });
          }
        }
      });
    }

    test("answers any request with a decision", async () => {
      const policy = await create();
      for (const text of strangeTexts) {
        const request = { subject: text, domain: text, object: text, action: text };
        expect(await policy.check(request)).toMatchObject({ allowed: expect.any(Boolean) });
      }
    });

    test("gives the same answer however often and however many ask", async () => {
      const policy = await create();
      const request = Object.freeze({ ...(allowed ?? denied ?? strangers) });
      const decisions = await Promise.all(Array.from({ length: 50 }, () => policy.check(request)));
      decisions.push(await policy.check(request));
      expect(new Set(decisions.map((decision) => decision.allowed)).size).toBe(1);
    });

    test("rejects with the abort reason when it is aborted before", async () => {
      const policy = await create();
      const reason = new Error("not interested any more");
      const signal = AbortSignal.abort(reason);
      await expect(policy.check(allowed ?? strangers, { signal })).rejects.toBe(reason);
    });

    test("takes a signal that is not aborted", async () => {
      const policy = await create();
      const { signal } = new AbortController();
      const request = allowed ?? strangers;
      expect(await policy.check(request, { signal })).toEqual(await policy.check(request));
    });
  });
}
