/**
 * Figures of the process by the names that Prometheus' clients share. Read when they are asked for:
 * the library's own set would wake an idle gateway a hundred times a second.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Counter, Gauge, type Registry } from 'prom-client';

export function addProcessMetrics(register: Registry): void {
  const registers = [register];
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time of all threads, in seconds',
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  gauge('process_resident_memory_bytes', 'Resident memory in bytes', () => {
    return process.memoryUsage.rss();
  });
  gauge('process_start_time_seconds', 'Start of the process, in seconds since 1970', () => {
    return performance.timeOrigin / 1_000;
  });
  gauge('process_open_fds', 'Open file descriptors', () => {
    return readdirSync('/proc/self/fd').length;
  });
  gauge('process_max_fds', 'Most file descriptors that may be open', () => {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? Number.NaN);
  });
  new Gauge({
    name: 'nodejs_version_info',
    help: 'Version of Node.js',
    labelNames: ['version'],
    registers,
  }).set({ version: process.version }, 1);
}
