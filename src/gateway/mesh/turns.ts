/** Steps that change the same things run one after the other, in the order in which they were asked for. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** Resolves, or rejects, as the step does; after `close` no step begins. */
  take(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(async () => {
      if (!this.#closed) await step();
    });
    this.#last = done.catch(() => {});
    return done;
  }

  /** Resolves when the step that runs has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
  }
}
