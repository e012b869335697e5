/** An error whose answer has more fields than `error`, e.g. the id of the job that it is about. */
export class WithFields extends Error {
  override readonly name = "WithFields";
  readonly reason: unknown;
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(reason: unknown, fields: Readonly<Record<string, unknown>>) {
    super("an answer with more fields", { cause: reason });
    this.reason = reason;
    this.fields = fields;
  }
}
