import { definePlugin, memoryTransport, type Plugin } from "@longshore/core";
import { wordCount } from "./word-count.ts";

export const plugin: Plugin = definePlugin({
  name: "text",
  setup(host) {
    host.registerHandler(wordCount);
    host.registerTransport("text-memory", () => memoryTransport());
  },
});
