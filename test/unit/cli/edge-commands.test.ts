/** The commands that speak to an edge: over its socket and over TLS, for people and as JSON. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { completionScript } from '../../../src/cli/completion.ts';
import { buildProgram } from '../../../src/cli/connector-program.ts';
import { describeFailure } from '../../../src/cli/failure.ts';
import { formatFields, formatTable } from '../../../src/cli/table.ts';
import { asksEdge, edgeAddress } from '../../../src/cli/where.ts';
import { decodeJoinToken } from '../../../src/control/join-token.ts';
import { createSelfSigned } from '../../../src/edge/self-signed.ts';
import { EdgeUnderTest, enrolBody } from '../edge/edge-under-test.ts';

let edge: EdgeUnderTest;
beforeAll(async () => {
  edge = await EdgeUnderTest.start();
});
afterAll(() => edge.stop());
afterEach(() => vi.unstubAllEnvs());

/** Runs `connector ARGS` in this process; what it prints, or the sentence that it fails with. */
async function connector(...args: string[]): Promise<string> {
  let printed = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += text;
    return true;
  });
  try {
    await buildProgram()
      .exitOverride()
      .parseAsync(['node', 'connector', ...args]);
  } catch (error) {
    return describeFailure(error);
  } finally {
    write.mockRestore();
  }
  return printed;
}

/** On the edge's own host. */
function local(...args: string[]): Promise<string> {
  return connector(...args, '--edge', edge.directory);
}

const json = async (...args: string[]) => JSON.parse(await local(...args, '--json'));

describe("on the edge's host", () => {
  test('create prints the join token alone', async () => {
    const printed = await local(
      'create',
      'berlin',
      '--route',
      '10.1.0.0/16',
      '--route',
      '10.2.0.0/16',
    );
    expect(decodeJoinToken(printed).ok).toBe(true);
    expect(await local('create', 'berlin')).toMatch(/\[NAME_TAKEN\]$/);
    const made = await json('create', 'paris', '--auto-approve', '10.3.0.0/16');
    expect(made.connector).toMatchObject({ name: 'paris', autoApprove: ['10.3.0.0/16'] });
    const body = enrolBody(made.joinToken, { hostname: 'gw-paris', advertise: ['10.9.0.0/16'] });
    const joined = await edge.call('POST', '/v1/enrol', { body });
    edge.relay.bind(joined.json.relayId);
  });

  test('ls and show', async () => {
    const printed = await local('ls');
    expect(printed).toMatch(/^NAME +VNET +STATE +FOR +MESH IP +REPLICAS +ROUTES\n/);
    expect(printed).toMatch(/^berlin +default +INACTIVE +- +100\.96\.0\.1 +0 +2$/m);
    expect(printed).toMatch(/^paris +default +HEALTHY +\d+ s +100\.96\.0\.2 +1 +1 \(1 pending\)$/m);
    const shown = await local('show', 'paris');
    expect(shown).toMatch(/^state: +HEALTHY for /m);
    expect(shown).toMatch(/^gw-paris +0\.0\.0-test +serving +edge /m);
    expect(Math.max(...shown.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect((await json('show', 'paris')).routes).toHaveLength(1);
    expect(await local('show', 'nobody')).toMatch(/no connector "nobody"\. \[NOT_FOUND\]$/);
  });

  test('routes ls, add, approve, rm', async () => {
    expect(await local('routes', 'ls', '--state', 'pending')).toMatch(
      /^10\.9\.0\.0\/16 +default +paris/m,
    );
    expect(await local('routes', 'approve', '10.9.0.0/16')).toMatch(/serving/);
    expect(await local('routes', 'approve', '--all')).toMatch(/\[USAGE\]$/);
    const added = await local(
      'routes',
      'add',
      '10.1.7.0/24',
      '--connector',
      'berlin',
      '--comment',
      'lab',
    );
    expect(added).toMatch(/^10\.1\.7\.0\/24 +default +berlin +100 +operator +approved +lab$/m);
    const inside = await json('routes', 'ls', '--subset-of', '10.1.0.0/16');
    expect(inside.map(({ prefix }: { prefix: string }) => prefix)).toEqual([
      '10.1.0.0/16',
      '10.1.7.0/24',
    ]);
    expect(await local('routes', 'rm', '10.1.7.0/24')).toBe(
      '10.1.7.0/24 no longer goes to berlin.\n',
    );
    expect(await local('routes', 'rm', '10.1.7.0/24')).toMatch(/\[NOT_FOUND\]$/);
  });

  test('routes that two connectors have must be told apart', async () => {
    await local('routes', 'add', '10.50.0.0/16', '--connector', 'berlin');
    await local('routes', 'add', '10.50.0.0/16', '--connector', 'paris', '--priority', '200');
    expect(await local('routes', 'rm', '10.50.0.0/16')).toMatch(
      /berlin in default, paris in default/,
    );
    const one = await local('routes', 'rm', '10.50.0.0/16', '--connector', 'paris');
    expect(one).toContain('no longer goes to paris');
  });

  test('what is not as it must be is told in the words of the command', async () => {
    const form =
      'a name is 1 to 63 characters of a-z, 0-9 and "-", and neither begins nor ends with "-"';
    const refused = (what: string): string =>
      `The edge does not take the ${what}. [REQUEST_INVALID]`;
    for (const command of [['create'], ['rename', 'paris'], ['vnets', 'add']]) {
      expect(await local(...command, 'Berlin_1')).toBe(refused(`name "Berlin_1": ${form}`));
    }
    const long = 'x'.repeat(201);
    expect(await local('create', '-', '--comment', long, '--auto-approve', '')).toBe(
      refused(
        `name "-": ${form}; the auto-approve "": a prefix is 1 to 64 characters, as 10.1.0.0/16; ` +
          'the comment: a comment is at most 200 characters',
      ),
    );
    expect(await local('ls', '--vnet', '')).toBe(
      refused('vnet: a name or an id is 1 to 64 characters'),
    );
  });

  test('routes get, check, overlaps', async () => {
    const got = await local('routes', 'get', '10.9.1.2');
    expect(got).toMatch(/^connector: +paris$/m);
    expect(got).toMatch(/^path: +relayed by edge$/m);
    expect(await local('routes', 'get', '192.0.2.1')).toBe('No route leads to 192.0.2.1.\n');
    expect(await local('routes', 'get', '100.96.0.2')).toContain('its mesh IP');
    expect(await local('routes', 'get', 'x.y')).toMatch(/\[REQUEST_INVALID\]$/);
    expect(await local('routes', 'check', '10.1.0.0/24')).toMatch(
      /reached through berlin by 10\.1\.0\.0\/16/,
    );
    expect(await local('routes', 'check', '10.3.0.0/16')).toBe(
      'No route leads to 10.3.0.0/16, and none overlaps it.\n',
    );
    expect(await local('routes', 'check', '10.0.0.1/8')).toMatch(/\[ROUTE_HOST_BITS\]$/);
    expect(await local('routes', 'overlaps')).toBe('No routes overlap.\n');
    await local('routes', 'add', '10.0.0.0/8', '--connector', 'paris');
    expect(await local('routes', 'overlaps')).toMatch(
      /^10\.0\.0\.0\/8 +paris in default +10\.1\.0\.0\/16/m,
    );
  });

  test('vnets', async () => {
    expect(await local('vnets', 'add', 'lab', '--comment', 'for tests')).toMatch(
      /^lab .* for tests$/m,
    );
    expect(await local('vnets', 'default', 'lab')).toContain('lab is the default');
    expect(await local('vnets', 'rm', 'lab')).toMatch(/\[VNET_IN_USE\]$/);
    await local('vnets', 'default', 'default');
    await local('vnets', 'rm', 'lab');
    expect(await json('vnets', 'ls')).toMatchObject([{ name: 'default', default: true }]);
  });

  test('rename, rotate-token, delete', async () => {
    expect(await local('rename', 'berlin', 'spree')).toBe('berlin is called spree now.\n');
    expect(decodeJoinToken(await local('rotate-token', 'spree')).ok).toBe(true);
    expect(await local('delete', 'spree')).toBe('spree is deleted.\n');
    expect(await local('delete', 'spree')).toMatch(/\[NOT_FOUND\]$/);
    const { replicas } = await json('show', 'paris');
    const removed = await local('delete', 'paris', '--replica', replicas[0].id);
    expect(removed).toContain('of paris is deleted');
  });

  test('edge status', async () => {
    const printed = await local('edge', 'status');
    expect(printed).toContain(edge.edge.tlsPin!);
    expect(printed).toMatch(/^relayed: +3 packets, 400 B$/m);
    expect(printed).toMatch(/^7 +unknown_source$/m);
  });

  test('edge certificate next, cancel, switch', async () => {
    const announced = await local('edge', 'certificate', 'next');
    const pin = /^next TLS pin: +([0-9a-f]{64})$/m.exec(announced)?.[1];
    expect(announced).toContain('certificate switch');
    expect(await local('edge', 'status')).toMatch(new RegExp(`^next TLS pin: +${pin}$`, 'm'));
    expect(await json('edge', 'certificate', 'cancel')).not.toHaveProperty('nextTlsPin');
    expect(await local('edge', 'certificate', 'switch')).toMatch(/ \[CERTIFICATE\]$/);
    // Of a file with the private key in it only the certificate is sent.
    const { certificate, key } = await createSelfSigned(['edge.example'], new Date());
    const file = join(edge.directory, 'both.pem');
    writeFileSync(file, key + certificate);
    const mine = await json('edge', 'certificate', 'next', '--certificate', file);
    expect(mine.nextTlsPin).toMatch(/^[0-9a-f]{64}$/);
    expect(readFileSync(join(edge.directory, 'next.crt'), 'utf8')).toBe(certificate);
    expect(await local('edge', 'certificate', 'switch', '--force')).toMatch(/takes a restart/);
    await local('edge', 'certificate', 'cancel');
    writeFileSync(file, key);
    expect(await local('edge', 'certificate', 'next', '--certificate', file)).toMatch(
      / no certificate in PEM.* \[CERTIFICATE\]$/,
    );
  });
});

describe('from elsewhere', () => {
  test('with a token and the pin', async () => {
    const url = `https://127.0.0.1:${edge.edge.port}`;
    vi.stubEnv('CAUSEWAY_EDGE', url);
    const remedy = /CAUSEWAY_PIN is to be its TLS pin.* \[EDGE_UNTRUSTED\]$/;
    expect(await connector('ls')).toMatch(remedy);
    vi.stubEnv('CAUSEWAY_PIN', '0'.repeat(64));
    expect(await connector('ls')).toMatch(remedy);
    vi.stubEnv('CAUSEWAY_PIN', edge.edge.tlsPin!);
    expect(await connector('ls')).toBe(
      'The edge needs a token: put one into CAUSEWAY_TOKEN. [UNAUTHORIZED]',
    );
    vi.stubEnv('CAUSEWAY_TOKEN', (await local('tokens', 'create', 'reader')).trim());
    expect(await connector('ls')).toMatch(/^paris /m);
    expect(await connector('delete', 'paris')).toMatch(/\[FORBIDDEN\]$/);
    expect(await local('tokens', 'ls')).toMatch(/^reader +read-only +\S+ +never$/m);
    await local('tokens', 'rm', 'reader');
    expect(await connector('ls')).toMatch(/\[UNAUTHORIZED\]$/);
  });

  test('where nobody answers', async () => {
    expect(await connector('ls', '--edge', '/nonexistent')).toMatch(
      /No edge runs on this host .*\[EDGE_UNREACHABLE\]$/,
    );
    expect(await connector('ls', '--edge', 'https://127.0.0.1:1')).toMatch(/\[EDGE_UNREACHABLE\]$/);
    expect(await connector('ls', '--edge', 'http://127.0.0.1')).toMatch(/\[USAGE\]$/);
  });
});

describe('where a command asks', () => {
  test('--edge before CAUSEWAY_EDGE before the edge on this host', () => {
    const pin = 'ab'.repeat(32);
    const environment = { CAUSEWAY_EDGE: 'https://a', CAUSEWAY_TOKEN: 't', CAUSEWAY_PIN: pin };
    expect(edgeAddress({}, environment)).toEqual({ url: 'https://a', tlsPin: pin, token: 't' });
    expect(edgeAddress({ edge: '/data' }, environment)).toEqual({ socketPath: '/data/edge.sock' });
    expect(edgeAddress({}, {})).toEqual({ socketPath: '/var/lib/causeway-edge/edge.sock' });
    expect(() => edgeAddress({}, { ...environment, CAUSEWAY_PIN: 'x' })).toThrow('CAUSEWAY_PIN');
  });

  test('`routes ls` asks an edge that is named, else the gateway unless an edge is here', () => {
    expect(asksEdge({ edge: 'https://a' }, {})).toBe(true);
    expect(asksEdge({}, { CAUSEWAY_EDGE: 'https://a' })).toBe(true);
  });
});

test('tables fit 80 columns: the last column is wrapped under itself', () => {
  const text = formatTable(['A', 'B'], [['x'.repeat(20), 'word '.repeat(30).trim()]]);
  const lines = text.trimEnd().split('\n');
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(lines[2]).toMatch(/^ {22}word/);
  const fields = formatFields([
    ['a', 'one\ntwo'],
    ['longer', 'word '.repeat(30).trim()],
  ]);
  expect(fields).toMatch(/^a: {7}one\n {9}two\nlonger: {2}word/);
});

test('completion knows every command', () => {
  const script = completionScript(buildProgram(), 'bash');
  for (const path of [
    'routes approve',
    'edge run',
    'tokens create',
    'vnets default',
    'rotate-token',
  ]) {
    expect(script).toContain(`"${path}")`);
  }
});
