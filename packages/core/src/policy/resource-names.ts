/** Name of a job for the policy: `job:{namespace}/{operation}`. */
export function jobObject(namespace: string, operation: string): string {
  return `job:${namespace}/${operation}`;
}

/** Name of an event topic for the policy: `event:{topic}`. */
export function eventObject(topic: string): string {
  return `event:${topic}`;
}

/** Name of a worker for the policy: `worker:{id}`. */
export function workerObject(workerId: string): string {
  return `worker:${workerId}`;
}
