export interface LeakChecker {
  check(): Promise<void>;
}
