import { LongshoreError, type ErrorCode } from "@longshore/core";

export interface HttpErrorOptions extends ErrorOptions {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** An error that knows more of its answer than its code says. */
export class HttpError extends LongshoreError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: HttpErrorOptions) {
    super(code, message, {
      ...(options.details !== undefined && { details: options.details }),
      ...("cause" in options && { cause: options.cause }),
    });
    this.status = options.status;
    this.headers = options.headers ?? {};
  }
}
