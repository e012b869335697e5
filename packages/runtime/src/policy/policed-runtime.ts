import {
  eventObject,
  normalizeImage,
  type Abortable,
  type ContainerRef,
  type Policy,
} from "@longshore/core";
import type { Runtime } from "../calls/runtime-calls.ts";
import { policedFiles } from "./policed-files.ts";
import { runtimeGuard, type PolicySubject } from "./runtime-guard.ts";

type Container<Request> = ContainerRef & Request;

/**
 * A runtime for one subject: each call is made only when the policy allows it.
 *
 * | call | object | action |
 * | --- | --- | --- |
 * | version, status, lists, configuration, metrics | `worker:*` | query |
 * | status, end and statistics of one | `sandbox:{id}`, `container:{id}` | query |
 * | run a sandbox | `sandbox:*` | execute |
 * | create a container | `container:*` and `sandbox:{id}` | execute |
 * | start, exec, attach, files, forward a port | `container:{id}`, `sandbox:{id}` | execute |
 * | stop, signal, remove, pause, limits, logs, checkpoint | `sandbox:{id}`, `container:{id}` | manage; execute for its owner |
 * | commit | the container, and `image:{reference}` | manage, and write |
 * | events | `event:worker.*.*` | subscribe |
 * | update the runtime's configuration | `worker:*` | manage |
 *
 * The owner of a sandbox is who made it: its annotation is set here, whatever the request says.
 *
 * Disposing does nothing: the runtime belongs to whoever opened it.
 *
 * @throws {LongshoreError} in every call: `POLICY_DENIED`, with the rule that decided in `details.matchedRule`
 */
export function policedRuntime(runtime: Runtime, policy: Policy, who: PolicySubject): Runtime {
  const guard = runtimeGuard(runtime, policy, who);
  const { onSandbox, onContainer } = guard;
  const query = (options?: Abortable) => guard.require("worker:*", "query", options);

  /** A call on one container, with its full id. */
  const container =
    <Request extends ContainerRef, Answer>(
      action: Parameters<typeof onContainer>[1],
      call: (request: Container<Request>, options?: Abortable) => Promise<Answer>,
    ) =>
    async (request: Request, options?: Abortable): Promise<Answer> =>
      call({ ...request, ...(await onContainer(request, action, options)) }, options);

  return {
    async version(options) {
      await query(options);
      return runtime.version(options);
    },
    async status(request, options) {
      await query(options);
      return runtime.status(request, options);
    },
    async runtimeConfig(options) {
      await query(options);
      return runtime.runtimeConfig(options);
    },
    async updateRuntimeConfig(config, options) {
      await guard.require("worker:*", "manage", options);
      await runtime.updateRuntimeConfig(config, options);
    },

    async runPodSandbox(request, options) {
      await guard.require("sandbox:*", "execute", options);
      const { config } = request;
      const annotations = { ...config.annotations, [guard.subjectAnnotation]: guard.subject };
      return runtime.runPodSandbox({ ...request, config: { ...config, annotations } }, options);
    },
    async stopPodSandbox(request, options) {
      await runtime.stopPodSandbox(await onSandbox(request, "manage", options), options);
    },
    async removePodSandbox(request, options) {
      await runtime.removePodSandbox(await onSandbox(request, "manage", options), options);
    },
    async podSandboxStatus(request, options) {
      const sandbox = await onSandbox(request, "query", options);
      return runtime.podSandboxStatus({ ...request, ...sandbox }, options);
    },
    async listPodSandbox(filter, options) {
      await query(options);
      return runtime.listPodSandbox(filter, options);
    },
    async updatePodSandboxResources(request, options) {
      const sandbox = await onSandbox(request, "manage", options);
      await runtime.updatePodSandboxResources({ ...request, ...sandbox }, options);
    },

    async createContainer(request, options) {
      await guard.require("container:*", "execute", options);
      const sandbox = await onSandbox(request, "execute", options);
      return runtime.createContainer({ ...request, ...sandbox }, options);
    },
    startContainer: container("execute", runtime.startContainer),
    stopContainer: container("manage", runtime.stopContainer),
    signalContainer: container("manage", runtime.signalContainer),
    waitContainer: container("query", runtime.waitContainer),
    removeContainer: container("manage", runtime.removeContainer),
    containerStatus: container("query", runtime.containerStatus),
    async listContainers(filter, options) {
      await query(options);
      return runtime.listContainers(filter, options);
    },
    updateContainerResources: container("manage", runtime.updateContainerResources),
    reopenContainerLog: container("manage", runtime.reopenContainerLog),
    checkpointContainer: container("manage", runtime.checkpointContainer),
    pauseContainer: container("manage", runtime.pauseContainer),
    resumeContainer: container("manage", runtime.resumeContainer),
    async commitContainer(request, options) {
      await guard.require(`image:${normalizeImage(request.reference)}`, "write", options);
      const ref = await onContainer(request, "manage", options);
      return runtime.commitContainer({ ...request, ...ref }, options);
    },

    execSync: container("execute", runtime.execSync),
    exec: container("execute", runtime.exec),
    attach: container("execute", runtime.attach),
    async portForward(request, options) {
      const sandbox = await onSandbox(request, "execute", options);
      return runtime.portForward({ ...request, ...sandbox }, options);
    },
    files(request) {
      const own = runtime.files(request);
      if (own === undefined) return undefined;
      return policedFiles(own, async (options) => {
        const ref = await onContainer(request, "execute", options);
        return runtime.files(ref);
      });
    },

    containerStats: container("query", runtime.containerStats),
    async listContainerStats(filter, options) {
      await query(options);
      return runtime.listContainerStats(filter, options);
    },
    async podSandboxStats(request, options) {
      return runtime.podSandboxStats(await onSandbox(request, "query", options), options);
    },
    async listPodSandboxStats(filter, options) {
      await query(options);
      return runtime.listPodSandboxStats(filter, options);
    },
    async listMetricDescriptors(options) {
      await query(options);
      return runtime.listMetricDescriptors(options);
    },
    async listPodSandboxMetrics(options) {
      await query(options);
      return runtime.listPodSandboxMetrics(options);
    },
    async *getContainerEvents(options) {
      await guard.require(eventObject("worker.*.*"), "subscribe", options);
      yield* runtime.getContainerEvents(options);
    },

    async [Symbol.asyncDispose]() {},
  };
}
