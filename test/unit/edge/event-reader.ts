/** Reads the events of a netmap stream as they come. */
import type { IncomingMessage } from 'node:http';

export interface StreamEvent {
  readonly id: string | undefined;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it freely
  readonly data: any;
}

export class EventReader {
  readonly #response: IncomingMessage;
  readonly #iterator: AsyncIterator<string>;
  readonly #events: StreamEvent[] = [];
  #text = '';
  /** Comment lines seen. */
  comments = 0;

  constructor(response: IncomingMessage) {
    response.setEncoding('utf8');
    this.#response = response;
    this.#iterator = response[Symbol.asyncIterator]() as AsyncIterator<string>;
  }

  /** The next event; undefined when the stream has ended. */
  async next(): Promise<StreamEvent | undefined> {
    while (this.#events.length === 0) {
      const { value, done } = await this.#iterator.next();
      if (done) return undefined;
      this.#take(value);
    }
    return this.#events.shift();
  }

  close(): void {
    this.#response.destroy();
  }

  #take(part: string): void {
    const blocks = (this.#text + part).split('\n\n');
    this.#text = blocks.pop()!;
    for (const block of blocks) {
      const fields = new Map<string, string>();
      for (const line of block.split('\n')) {
        if (line.startsWith(':')) this.comments++;
        const colon = line.indexOf(': ');
        if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
      }
      const event = fields.get('event');
      if (event === undefined) continue;
      this.#events.push({ id: fields.get('id'), event, data: JSON.parse(fields.get('data')!) });
    }
  }
}
