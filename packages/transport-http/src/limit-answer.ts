import { LongshoreError } from "@longshore/core/wire";

/** The answer, of which no more is read than allowed: whoever reads on gets a `TRANSPORT_ERROR`. */
export function limitAnswer(response: Response, maxBytes: number): Response {
  if (response.body === null) return response;
  let byteLength = 0;
  const body = response.body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        byteLength += chunk.byteLength;
        if (byteLength <= maxBytes) controller.enqueue(chunk);
        else {
          controller.error(
            new LongshoreError("TRANSPORT_ERROR", `The answer has more than ${maxBytes} bytes.`),
          );
        }
      },
    }),
  );
  const { status, headers } = response;
  return new Response(body, { status, headers });
}
