import { afterAll, beforeAll } from "vitest";
import { suite } from "../suite-cases.ts";
import { attachCases } from "./attach-cases.ts";
import type { CaseGroup } from "./case-group.ts";
import { capabilityCases } from "./capability-cases.ts";
import { confinementCases } from "./confinement-cases.ts";
import { containerCases } from "./container-cases.ts";
import { containerIdentityCases } from "./container-identity-cases.ts";
import { eventCases } from "./event-cases.ts";
import { execCases } from "./exec-cases.ts";
import { execSyncCases } from "./exec-sync-cases.ts";
import { facadeCases } from "./facade-cases.ts";
import { hostileCases } from "./hostile-cases.ts";
import { imageConfigCases } from "./image-config-cases.ts";
import { limitCases } from "./limit-cases.ts";
import { logCases } from "./log-cases.ts";
import { mountCases } from "./mount-cases.ts";
import { namespaceCases } from "./namespace-cases.ts";
import { networkCases } from "./network-cases.ts";
import { overlapCases } from "./overlap-cases.ts";
import { pauseCases } from "./pause-cases.ts";
import { openCase } from "./runtime-case.ts";
import { runtimeInfoCases } from "./runtime-info-cases.ts";
import { sandboxCases } from "./sandbox-cases.ts";
import { statsCases } from "./stats-cases.ts";
import {
  runtimeSuiteParts,
  type RuntimeHarness,
  type RuntimeSuiteOptions,
  type RuntimeSuitePart,
} from "./suite-options.ts";
import { terminalCases } from "./terminal-cases.ts";
import { userCases } from "./user-cases.ts";

const groups: Readonly<Record<RuntimeSuitePart, CaseGroup>> = {
  "runtime info": runtimeInfoCases,
  sandbox: sandboxCases,
  container: containerCases,
  "container identity": containerIdentityCases,
  "image config": imageConfigCases,
  log: logCases,
  "exec sync": execSyncCases,
  exec: execCases,
  terminal: terminalCases,
  attach: attachCases,
  user: userCases,
  capability: capabilityCases,
  confinement: confinementCases,
  mount: mountCases,
  namespace: namespaceCases,
  network: networkCases,
  limit: limitCases,
  stats: statsCases,
  event: eventCases,
  pause: pauseCases,
  overlap: overlapCases,
  hostile: hostileCases,
  facade: facadeCases,
};

/** Names of all cases, e.g. to see that a list of those to skip is complete. */
export function runtimeCaseNames(): readonly string[] {
  const names: string[] = [];
  for (const group of Object.values(groups)) group((title) => names.push(title));
  return names;
}

/**
 * The contract of `RuntimeClient`, as tests: what the Kubernetes CRI v1 promises, seen by a caller. Call it in a test
 * file of the implementation.
 */
export function describeRuntimeConformance(name: string, options: RuntimeSuiteOptions): void {
  const { create, runtimeHandler = "", lacks = {}, skip = {}, leaks } = options;
  const { parts = runtimeSuiteParts, patience = 1 } = options;

  suite(`RuntimeClient: ${name}`, skip, (test) => {
    let harness: RuntimeHarness | undefined;
    beforeAll(async () => {
      harness = await create();
    });
    afterAll(() => harness?.[Symbol.asyncDispose]());

    for (const part of parts) {
      groups[part]((title, run, { needs = [], timeoutMs = 60_000 } = {}) => {
        const missing = needs.find((ability) => lacks[ability] !== undefined);
        test(
          title,
          async () => {
            if (harness === undefined) throw new Error("the runtime was not made");
            const checker = await leaks?.();
            {
              await using tools = await openCase(harness, { runtimeHandler, patience });
              await run(tools);
            }
            await checker?.check();
          },
          {
            timeoutMs: timeoutMs * patience,
            skipReason: missing === undefined ? undefined : lacks[missing],
          },
        );
      });
    }
  });
}
