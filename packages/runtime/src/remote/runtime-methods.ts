import type { RuntimeClient } from "@longshore/core";

type MethodName = Exclude<keyof RuntimeClient, typeof Symbol.asyncDispose>;
type MethodForm = "plain" | "request" | "session" | "connection" | "items" | "absent";

/**
 * How each method of a runtime travels: `plain` ones take options only, `request` ones a message and options; the others
 * open streams. `files` stays behind: the facade reaches files by commands then.
 */
export const runtimeMethods: Readonly<Record<MethodName, MethodForm>> = {
  version: "plain",
  status: "request",
  runPodSandbox: "request",
  stopPodSandbox: "request",
  removePodSandbox: "request",
  podSandboxStatus: "request",
  listPodSandbox: "request",
  updatePodSandboxResources: "request",
  createContainer: "request",
  startContainer: "request",
  stopContainer: "request",
  signalContainer: "request",
  waitContainer: "request",
  removeContainer: "request",
  containerStatus: "request",
  listContainers: "request",
  updateContainerResources: "request",
  reopenContainerLog: "request",
  checkpointContainer: "request",
  pauseContainer: "request",
  resumeContainer: "request",
  commitContainer: "request",
  execSync: "request",
  exec: "session",
  attach: "session",
  portForward: "connection",
  files: "absent",
  containerStats: "request",
  listContainerStats: "request",
  podSandboxStats: "request",
  listPodSandboxStats: "request",
  listMetricDescriptors: "plain",
  listPodSandboxMetrics: "plain",
  getContainerEvents: "items",
  runtimeConfig: "plain",
  updateRuntimeConfig: "request",
};

/** The form of a method by its name, which may be anything. */
export function methodForm(name: string): MethodForm | undefined {
  const forms: Readonly<Record<string, MethodForm>> = runtimeMethods;
  return Object.hasOwn(forms, name) ? forms[name] : undefined;
}
