/**
 * The audit log: one JSON object a line for every change of the registry, who made it, and what was
 * before and after. Mode 0600, only ever appended to; the file is opened for each line, so that it
 * may be moved away at any time (logrotate needs no signal).
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Logger } from 'pino';

export interface Actor {
  readonly role: 'admin' | 'read-only' | 'replica' | 'enrolling';
  /** Name of the token, id of the replica or connector, or `local` for the unix socket. */
  readonly name: string;
  /** Address of the peer; `local` for the unix socket. */
  readonly source: string;
}

export interface AuditRecord {
  readonly actor: Actor;
  /** `connector.create`, `route.approve` … */
  readonly action: string;
  /** Id of what was changed. */
  readonly target: string;
  /** Null = it was not there. */
  readonly before: unknown;
  /** Null = it is gone. */
  readonly after: unknown;
}

export interface AuditLog {
  record(record: AuditRecord): void;
}

/** Values of these fields never reach the log. They are hashes, but nobody needs them either. */
const SECRETS = /hash|secret|credential|token$/i;

export function openAuditLog(path: string, log: Logger, now: () => number = Date.now): AuditLog {
  return {
    record: ({ actor, action, target, before, after }) => {
      const time = new Date(now()).toISOString();
      const line = JSON.stringify({ time, actor, action, target, before, after }, withoutSecrets);
      try {
        const file = openSync(path, 'a', 0o600);
        try {
          writeSync(file, `${line}\n`);
        } finally {
          closeSync(file);
        }
      } catch (error) {
        // The change is done and was acknowledged by the registry; the log keeps what it was.
        log.error({ error, record: line }, 'the audit log cannot be written');
      }
    },
  };
}

function withoutSecrets(key: string, value: unknown): unknown {
  return SECRETS.test(key) ? undefined : value;
}
