/** The next multiple of `step` that is not below `value`; exact up to 2^53. */
export function alignUp(value: number, step: number): number {
  return Math.ceil(value / step) * step;
}
