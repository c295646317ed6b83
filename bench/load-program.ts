/** The load generator of bench/load, compiled on first use. */
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../lab/process.ts';

const SOURCE = join(import.meta.dirname, 'load/udp-load.cc');
const FOLDER = join(import.meta.dirname, '../build/bench');

/** Path of the program. */
export async function loadProgram(): Promise<string> {
  const program = join(FOLDER, 'udp-load');
  if (!existsSync(program) || statSync(program).mtimeMs < statSync(SOURCE).mtimeMs) {
    mkdirSync(FOLDER, { recursive: true });
    const compiler = process.env.CXX ?? 'g++';
    await run([compiler, '-std=c++20', '-O2', SOURCE, '-o', program], { seconds: 120 });
  }
  return program;
}
