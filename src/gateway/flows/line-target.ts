/** Where the flow log's lines go. */
export interface LineTarget {
  /** One line, its end included. Never throws, never waits. */
  write(line: string): void;
  /** Lines that are there. */
  readonly written: number;
  /** Lines that it did not take. */
  readonly dropped: number;
  /** Why not, in words; undefined = all is well. */
  readonly fault: string | undefined;
  close(): Promise<void>;
}
