/**
 * Routes that `ip` refuses, against a stand-in for it that knows of routes and rules only whether they
 * are there, and refuses what it is told to.
 */
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { parsePrefix } from '../../../src/routing/prefix.ts';
import type { RoutePlan } from '../../../src/tun/route-plan.ts';
import { installRoutes } from '../../../src/tun/routes.ts';

/** As `ip -batch`: stops at the first line that fails unless -force is given. */
const IP = `#!/bin/sh
cd "$(dirname "$0")"
force=no; code=0; n=0
for argument in "$@"; do [ "$argument" = -force ] && force=yes; done
while read -r kind verb rest; do
  n=$((n + 1)); failed=; entry="$1 $kind $rest"
  case "$kind $verb" in
    "route replace")
      if grep -qxF "$rest" refused; then failed="RTNETLINK answers: Invalid argument"
      else grep -qxF -e "$entry" there || echo "$entry" >> there; fi ;;
    "rule add")
      if grep -qxF -e "$entry" there; then failed="RTNETLINK answers: File exists"
      else echo "$entry" >> there; fi ;;
    *) grep -vxF -e "$entry" there > there.new; mv there.new there ;;
  esac
  if [ -n "$failed" ]; then
    echo "$failed" >&2; echo "Command failed -:$n" >&2; code=1
    [ $force = no ] && exit 1
  fi
done
exit $code
`;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ip-'));
  writeFileSync(join(folder, 'ip'), IP);
  chmodSync(join(folder, 'ip'), 0o755);
  writeFileSync(join(folder, 'there'), '');
  refuse();
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const target = { interfaceName: 'mesh0', table: 52_000, mark: 52_000 };
const line = (prefix: string): string => `${prefix} dev mesh0 table 52000 proto 167`;

function refuse(...prefixes: string[]): void {
  writeFileSync(join(folder, 'refused'), `${prefixes.map(line).join('\n')}\n`);
}

/** Prefixes whose routes are there, and how many rules. */
function there(): { routes: string[]; rules: number } {
  const lines = readFileSync(join(folder, 'there'), 'utf8').split('\n');
  const routes = lines
    .filter((text) => text.includes(' route '))
    .map((text) => text.split(' ')[2]!);
  return { routes: routes.sort(), rules: lines.filter((text) => text.includes(' rule ')).length };
}

function plan(...prefixes: string[]): RoutePlan {
  return { routes: prefixes.map((text) => parsePrefix(text)!), throws: [], conflicts: [] };
}

test('one that is refused does not keep the others out, and is said', async () => {
  refuse('10.2.0.0/24');
  const wanted = plan('10.1.0.0/24', '10.2.0.0/24', '10.3.0.0/24', 'fd01::/64');
  await expect(installRoutes(target, wanted)).rejects.toThrow(/10\.2\.0\.0\/24.*Invalid argument/);
  expect(there()).toEqual({ routes: ['10.1.0.0/24', '10.3.0.0/24', 'fd01::/64'], rules: 2 });
});

test('tried again, what is there is no fault', async () => {
  refuse('10.2.0.0/24');
  const wanted = plan('10.1.0.0/24', '10.2.0.0/24');
  await expect(installRoutes(target, wanted)).rejects.toThrow();
  await expect(installRoutes(target, wanted, undefined, wanted)).rejects.toThrow();
  refuse();
  await installRoutes(target, wanted, undefined, wanted);
  expect(there()).toEqual({ routes: ['10.1.0.0/24', '10.2.0.0/24'], rules: 1 });
});

test('another plan after one that was refused leaves nothing of it', async () => {
  const first = plan('10.1.0.0/24');
  await installRoutes(target, first);
  refuse('10.2.0.0/24');
  const second = plan('10.2.0.0/24', '10.3.0.0/24', 'fd01::/64');
  await expect(installRoutes(target, second, first)).rejects.toThrow();
  const third = plan('10.1.0.0/24');
  await installRoutes(target, third, undefined, second);
  expect(there()).toEqual({ routes: ['10.1.0.0/24'], rules: 1 });
});

test('a route with another MTU takes the place of the one before, which is never missing', async () => {
  const [whole] = plan('10.1.0.0/24').routes;
  const first = { ...plan(), routes: [whole!] };
  const second = { ...plan(), routes: [{ ...whole!, mtu: 1_300 }] };
  await installRoutes(target, first);
  await installRoutes(target, second, first);
  const lines = readFileSync(join(folder, 'there'), 'utf8');
  // The stand-in takes the two for different routes: nothing was deleted, and the new one came.
  expect(lines).toContain(`${line('10.1.0.0/24')}\n`);
  expect(lines).toContain(`${line('10.1.0.0/24')} mtu 1300\n`);
});

test('a family is closed, opened by a default route beside it, and left to itself', async () => {
  const forwarding = { ...target, forwardedOnly: true };
  const closed: RoutePlan = { ...plan(), closed: [4] };
  const open: RoutePlan = { ...plan('0.0.0.0/0'), closed: [4] };
  await installRoutes(forwarding, closed);
  const refuses = 'pref 20003 not iif lo table 52000 unreachable protocol 167';
  const into = 'pref 20002 not iif lo table 52000 protocol 167';
  const lines = (): string => readFileSync(join(folder, 'there'), 'utf8');
  expect(lines()).toContain(refuses);
  expect(lines()).not.toContain(into);
  expect(there().rules).toBe(3);
  await installRoutes(forwarding, open, closed);
  expect(lines()).toContain(refuses);
  expect(lines()).toContain(line('0.0.0.0/0'));
  expect(lines()).toContain(into);
  await installRoutes(forwarding, plan(), open);
  expect(lines()).toBe('');
});
