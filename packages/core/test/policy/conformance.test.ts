import { describePolicyConformance } from "@longshore/testkit";
import { allowAllPolicy, auditedPolicy, denyAllPolicy, memoryEventBus } from "../../src/index.ts";

const request = {
  subject: "local:alice",
  domain: "*",
  object: "job:default/system.echo",
  action: "execute",
};

describePolicyConformance("deny all", { create: denyAllPolicy, denied: request });

describePolicyConformance("allow all", { create: allowAllPolicy, allowed: request });

describePolicyConformance("audited", {
  create: () => auditedPolicy(denyAllPolicy(), memoryEventBus()),
  denied: request,
});
