import { LongshoreError } from "@longshore/core";
import type { IncomingMessage } from "node:http";
import { HttpError } from "../http-error.ts";

/**
 * The whole body of a request, as long as it is not larger than `maxBytes`. What comes after that is not read: the
 * answer closes the connection.
 *
 * @throws {LongshoreError} `INVALID_BODY`
 */
export function readBody(incoming: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const encoding = incoming.headers["content-encoding"];
  if (encoding !== undefined && encoding !== "identity") {
    throw new HttpError("INVALID_BODY", `The encoding "${encoding}" is not read; send it plain.`, {
      status: 415,
      headers: { "accept-encoding": "identity" },
    });
  }
  if (Number(incoming.headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let byteLength = 0;
    const finish = (end: () => void): void => {
      incoming.off("data", onData).off("end", onEnd).off("close", onClose).off("error", onClose);
      end();
    };
    const onData = (chunk: Buffer): void => {
      byteLength += chunk.byteLength;
      if (byteLength <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      incoming.pause();
      finish(() => {
        reject(tooLarge(maxBytes));
      });
    };
    const onEnd = (): void => {
      finish(() => {
        resolve(Buffer.concat(chunks, byteLength));
      });
    };
    const onClose = (): void => {
      finish(() => {
        reject(new LongshoreError("INVALID_BODY", "The body broke off."));
      });
    };
    incoming.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
  });
}

function tooLarge(maxBytes: number): HttpError {
  return new HttpError("INVALID_BODY", `The body has more than ${maxBytes} bytes.`, {
    status: 413,
    details: { maxBytes },
    headers: { connection: "close" },
  });
}
