/**
 * Loads zod without the translations of its messages: its only entry point loads them all, fifty modules
 * that a daemon would keep for good. English, which is what our errors quote, is not among what is left out.
 */
import { registerHooks } from 'node:module';

const TRANSLATIONS = /\/zod\/v4\/locales\/index\.js$/;

/** To be awaited before the first module that imports zod is loaded. */
export async function loadSchemaLibrary(): Promise<void> {
  const hooks = registerHooks({
    load: (url, context, next) =>
      TRANSLATIONS.test(url)
        ? { format: 'module', source: 'export {};', shortCircuit: true }
        : next(url, context),
  });
  try {
    await import('zod');
  } finally {
    hooks.deregister();
  }
}
