import type { Policy } from "@longshore/core";

const allowed = new Set(["tool:bash", "tool:read_file"]);

/** The agent may run commands and read; files it writes only by way of commands. */
export const agentPolicy: Policy = {
  name: "agent",
  async check({ subject, object, action }) {
    return { allowed: subject === "service:agent" && action === "execute" && allowed.has(object) };
  },
};
