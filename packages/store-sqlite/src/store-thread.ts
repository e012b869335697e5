import {
  parentPort,
  receiveMessageOnPort,
  workerData,
  type MessagePort,
} from "node:worker_threads";
import { groupCommit } from "./group-commit.ts";
import { openDatabase } from "./open-database.ts";
import type { Operation, ThreadData } from "./operation.ts";
import { migrate } from "./schema.ts";

/**
 * The thread that owns a store's database. It is sent batches of operations, answers each transaction by one message,
 * and ends when it is sent `null`.
 *
 * It imports nothing of `@longshore/core` at run time: a thread starts in milliseconds, the whole of core does not.
 */
const maxOperations = 4_000;

if (parentPort !== null) serve(parentPort, workerData as ThreadData);

function serve(port: MessagePort, data: ThreadData): void {
  const database = openDatabase(data);
  migrate(database);
  const commits = groupCommit(database);

  type Message = readonly Operation[] | null;

  function next(): Message | undefined {
    return receiveMessageOnPort(port)?.message;
  }

  port.on("message", (first: Message) => {
    let message: Message | undefined = first;
    while (message !== undefined && message !== null) {
      let operations: readonly Operation[] = message;
      // What has come in while the last transaction was under way shares the next one, and its fsync.
      message = next();
      while (message !== undefined && message !== null && operations.length < maxOperations) {
        operations = operations.concat(message);
        message = next();
      }
      port.postMessage(commits.commit(operations));
      commits.checkpoint("busy");
      if (message === undefined) message = next();
    }
    if (message === null) {
      database.close();
      port.close();
      return;
    }
    commits.checkpoint("idle");
  });
}
