const maxLength = 65_536;

/**
 * A copy of an error's or event's details that is JSON and of bounded size; details that are not are replaced by a note
 * saying so. They come from handlers, which may hand in anything and change it afterwards.
 */
export function jsonDetails(details: unknown): Readonly<Record<string, unknown>> | undefined {
  if (details === undefined) return undefined;
  try {
    const text = JSON.stringify(details);
    if (text.length > maxLength) {
      return { omitted: `the details have ${text.length} characters; ${maxLength} are allowed` };
    }
    const copy: unknown = JSON.parse(text);
    if (typeof copy === "object" && copy !== null && !Array.isArray(copy)) return { ...copy };
  } catch {
    // A circle, a bigint, a getter that throws: what happened matters more than its details.
  }
  return { omitted: "the details are not a JSON object" };
}
