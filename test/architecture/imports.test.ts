/**
 * The layering of DESIGN 6, read from the import statements of src/:
 *
 *   cli → gateway, edge → control, wireguard, tun, udp → routing → native → root files
 *
 * with the exceptions that DESIGN names, and the sans-IO rule for the PURE folders.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

const SOURCE = join(import.meta.dirname, '../../src');
const NATIVE = join(import.meta.dirname, '../../native');

/** What each folder may import besides itself and the root files. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  '': [],
  routing: [],
  wireguard: ['routing'],
  control: ['routing'],
  'control/node': ['control', 'routing'],
  native: [],
  tun: ['native', 'routing'],
  udp: ['native', 'routing'],
  gateway: ['control', 'control/node', 'wireguard', 'routing', 'tun', 'udp', 'native'],
  edge: ['control', 'control/node', 'wireguard', 'routing', 'tun', 'udp', 'native'],
  cli: ['gateway', 'edge', 'control', 'wireguard', 'routing', 'tun', 'udp', 'native'],
};

const PURE = ['routing', 'wireguard', 'control'];

/** Packages that compute and do nothing else. */
const PURE_PACKAGES = /^(@noble\/(ciphers|curves|hashes)(\/|$)|(zod|jsonc-parser)$)/;

/** Names through which a module reaches a clock, a timer, randomness or the outside. */
const EFFECTS = [
  /(?<![.\w])process\s*[.[]/,
  /\bDate\b/,
  /\bperformance\b/,
  /\bMath\.random\b/,
  /\b(randomBytes|randomSecretKey|getRandomValues|randomUUID)\b/,
  /\b(set|clear)(Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bconsole\b/,
  /\bfetch\(/,
  /\bglobalThis\b/,
  /\bBuffer\b/,
  /\brequire\(/,
  /\bimport\(/,
];

/** Blanks comments and the contents of plain strings and templates, keeping line numbers. */
function codeOf(text: string): string {
  const token =
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\$])*`/g;
  return text.replace(token, (found) => found.replace(/[^\n]/g, ' '));
}

/** Module names in import and export-from statements, type-only ones included. */
function importsOf(text: string): string[] {
  const bare = text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/[^\n]*/gm, '');
  const statement =
    /^\s*(?:import|export)\b(?:[^'";]*?\bfrom)?\s*'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;
  return [...bare.matchAll(statement)].map((match) => match[1] ?? match[2]!);
}

function folderOf(file: string): string {
  const folder = dirname(file);
  if (folder === '.') return '';
  if (folder.startsWith('control/node')) return 'control/node';
  return folder.split('/')[0]!;
}

interface SourceFile {
  readonly file: string;
  readonly folder: string;
  readonly text: string;
}

const files: SourceFile[] = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts'))
  .sort()
  .map((file) => ({
    file,
    folder: folderOf(file),
    text: readFileSync(join(SOURCE, file), 'utf8'),
  }));

/** What is wrong with one import, or undefined. */
function fault({ file, folder }: SourceFile, name: string): string | undefined {
  if (name.startsWith('.')) {
    const target = relative('.', normalize(join(dirname(file), name)));
    if (target.startsWith('..')) return `${file} imports ${name}, outside of src/`;
    if (!/\.(ts|json)$/.test(target)) return `${file} imports ${name} without its .ts extension`;
    const from = folderOf(target);
    if (from === folder || from === '' || MAY_IMPORT[folder]?.includes(from)) return undefined;
    return `${file} imports ${target}: ${folder || 'a root file'} may not import ${from}`;
  }
  if (folder === '') return `${file} imports ${name}: root files import only root files`;
  if (PURE.includes(folder) && !PURE_PACKAGES.test(name)) {
    return `${file} imports ${name}: ${folder} is sans-IO`;
  }
  return undefined;
}

describe('imports of src/', () => {
  test('every folder is one that DESIGN 6 names', () => {
    const unknown = files.filter(({ folder }) => !(folder in MAY_IMPORT));
    expect(unknown.map(({ file }) => file)).toEqual([]);
  });

  test('layers are imported one way', () => {
    const faults = files.flatMap((source) =>
      importsOf(source.text).flatMap((name) => fault(source, name) ?? []),
    );
    expect(faults).toEqual([]);
  });

  test('pure folders reach no clock, timer, randomness or process', () => {
    const faults: string[] = [];
    for (const { file, folder, text } of files) {
      if (!PURE.includes(folder)) continue;
      for (const [i, line] of codeOf(text).split('\n').entries()) {
        const effect = EFFECTS.find((name) => name.test(line));
        if (effect) faults.push(`${file}:${i + 1}: ${text.split('\n')[i]!.trim()}`);
      }
    }
    expect(faults).toEqual([]);
  });

  test('the rules see what they should', () => {
    const source = (file: string): SourceFile => ({ file, folder: folderOf(file), text: '' });
    expect(importsOf("import type {\n  A,\n} from './a.ts';\nexport * from '../b.ts';")).toEqual([
      './a.ts',
      '../b.ts',
    ]);
    expect(importsOf("import './a.ts';\n// import './b.ts';\nawait import('./c.ts');")).toEqual([
      './a.ts',
      './c.ts',
    ]);
    expect(fault(source('wireguard/peer.ts'), '../control/netmap.ts')).toContain('may not import');
    expect(fault(source('control/netmap.ts'), '../wireguard/peer.ts')).toContain('may not import');
    expect(fault(source('routing/plan.ts'), 'node:net')).toContain('sans-IO');
    expect(fault(source('keys.ts'), './routing/cidr.ts')).toContain('a root file may not');
    expect(fault(source('native/addon.ts'), '../tun/device.ts')).toContain('may not import');
    expect(fault(source('wireguard/peer.ts'), '../routing/cidr.ts')).toBeUndefined();
    expect(fault(source('gateway/loop.ts'), 'node:fs')).toBeUndefined();
    expect(codeOf("x('process'); // Date.now()")).not.toMatch(/process|Date/);
    const seen = (code: string): boolean => EFFECTS.some((name) => name.test(code));
    expect(seen('process.env')).toBe(true);
    expect(seen('this.queue.process(now)')).toBe(false);
  });
});

/** Everything that some files load at once: by import statements, over any number of files. */
function loadedBy(...roots: string[]): Set<string> {
  const texts = new Map(files.map(({ file, text }) => [file, text]));
  const seen = new Set<string>();
  const waiting = [...roots];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    for (const [statement, name] of (texts.get(file) ?? '').matchAll(
      /^(?:import|export)\b(?:[^'";]*?\bfrom)?\s*'([^']+)'/gm,
    )) {
      if (/^(import|export) type\b/.test(statement)) continue;
      waiting.push(name!.startsWith('.') ? normalize(join(dirname(file), name!)) : name!);
    }
  }
  return seen;
}

describe('a gateway, which runs for years,', () => {
  test('holds the code of no other command', () => {
    const isCommand = ({ file, text }: SourceFile): boolean =>
      /^cli\//.test(file) && /export function \w+Command\(/.test(text);
    const commands = files.filter(isCommand).map(({ file }) => file);
    expect(commands.length).toBeGreaterThan(20);
    const held = loadedBy('cli/connector.ts', 'cli/up.ts');
    expect(commands.filter((file) => held.has(file))).toEqual(['cli/up.ts']);
  });

  test('holds nothing of noble for its packets that OpenSSL does', () => {
    for (const worker of ['gateway/data-plane/worker.ts', 'edge/relay/relay-worker.ts']) {
      const held = loadedBy(worker);
      expect(held).toContain('wireguard/self-test.ts');
      expect(held).not.toContain('@noble/curves/ed25519.js');
      expect(held).not.toContain('wireguard/noble-aead.ts');
    }
  });

  test('holds no reader of policy documents', () => {
    const held = loadedBy('gateway/mesh/open-mesh.ts', 'gateway/mesh/join-mesh.ts');
    expect(held).toContain('control/netmap-delta.ts');
    expect(held).toContain('zod');
    expect(held).not.toContain('jsonc-parser');
  });
});

describe('files of src/ and native/', () => {
  test('none is longer than 400 lines: it would be two things in one', () => {
    const native = readdirSync(NATIVE, { encoding: 'utf8' })
      .filter((file) => /\.(cc|h)$/.test(file))
      .map((file) => ({ file, text: readFileSync(join(NATIVE, file), 'utf8') }));
    const long = [...files, ...native]
      .map(({ file, text }) => [file, text.split('\n').length - 1] as const)
      .filter(([, lines]) => lines > 400);
    expect(long).toEqual([]);
  });
});
