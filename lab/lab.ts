/** One set of namespaces that are made together and removed together: `await using lab = …`. */
import { Namespace } from './namespace.ts';

export class Lab implements AsyncDisposable {
  readonly #namespaces: Namespace[] = [];

  async namespace(label: string): Promise<Namespace> {
    const namespace = await Namespace.open(label);
    this.#namespaces.push(namespace);
    return namespace;
  }

  /** Makes several at once, in the order of their labels. */
  async namespaces<const L extends readonly string[]>(
    ...labels: L
  ): Promise<{ [K in keyof L]: Namespace }> {
    const made: Namespace[] = [];
    for (const label of labels) made.push(await this.namespace(label));
    return made as { [K in keyof L]: Namespace };
  }

  close(): void {
    for (const namespace of this.#namespaces.splice(0).reverse()) namespace.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
