/**
 * Takes secrets out of text that is to leave this host. Two nets: what the host's own secrets are,
 * literally, wherever they turn up (a log line, a comment, a command line); and whatever has the form
 * of a secret, ours or of others. What it takes out it names; public keys are cut short, for a private
 * key looks the same.
 */
import { keyToBase64, keyToHex } from '../../keys.ts';

/** Characters of a key that stay: enough to tell a mesh's keys apart, nothing to find the rest by. */
const SHOWN_OF_KEYS = 8;
/** A secret shorter than this would take ordinary words out. */
const LEAST_SECRET = 8;

/** `cwj1_…` join tokens, `cwt_…` API tokens, `cwr_…` credentials, and those of later versions. */
const OWN_TOKEN = /\b(cwj[0-9]*|cwt|cwr)_[A-Za-z0-9_-]{8,}/g;
/** The secret inside a join token: `3.kBg…`. */
const JOIN_SECRET = /\b[1-9][0-9]{0,9}\.[A-Za-z0-9_-]{32}(?![A-Za-z0-9_-])/g;
const PEM = /-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----[\s\S]*?(?:-----END \1-----|$)/g;
/** 32 bytes in base64, base64url or hexadecimal. */
const KEY_BASE64 = /(?<![A-Za-z0-9+/=_-])[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=(?![A-Za-z0-9+/=_-])/g;
const KEY_HEX = /(?<![0-9a-zA-Z])[0-9a-fA-F]{64}(?![0-9a-zA-Z])/g;
const BEARER = /\b(bearer|basic)(\s+)([A-Za-z0-9._~+/=-]{8,})/gi;
const USER_INFO = /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi;
/** JSON Web Tokens, and the access keys of clouds and forges, which have marks of their own. */
const FOREIGN_TOKEN =
  /\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\b(?:gh[opsur]|glpat|xox[abp])[_-][A-Za-z0-9_-]{16,}/g;
/**
 * `name = value`, `name: value`, `"name": "value"`, `--name value`, `NAME=value`, where the name says
 * that the value is secret. Not `token-file` and its like: a path is none.
 */
const NAMED =
  /((?:^|[^A-Za-z0-9])(?:[A-Za-z0-9]+[_-])*(?:token|secret|password|passwd|passphrase|credential|private[_-]?key|preshared[_-]?key|api[_-]?key|psk)["']?(?:[^\S\n]*[=:][^\S\n]*|[^\S\n]+(?=["']?[^\s"'=:]{16,}))["']?)((?<=["'])[^"'\n]+|[^\s"',;}]+)/gim;
/** `--password x` of a command line, where a value of any length follows. */
const OPTION =
  /(--(?:[A-Za-z0-9]+[_-])*(?:token|secret|password|passwd|passphrase|credential|private[_-]?key|preshared[_-]?key|api[_-]?key|psk)[^\S\n]+)("[^"\n]*"|'[^'\n]*'|[^\s"'-][^\s]*)/gi;

export interface Secret {
  /** What it is, for who reads the report. */
  readonly what: string;
  readonly value: string;
}

/** A private key in the forms in which it may turn up. */
export function formsOfKey(what: string, key: Uint8Array): Secret[] {
  const base64 = keyToBase64(key);
  const url = base64.replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
  return [base64, base64.replace(/=+$/, ''), url, keyToHex(key), keyToHex(key).toUpperCase()].map(
    (value) => ({ what, value }),
  );
}

export class Redaction {
  readonly #secrets: readonly Secret[];
  /** How many of each kind were taken out. */
  readonly counts = new Map<string, number>();

  /** @param secrets the host's own, as far as they could be read */
  constructor(secrets: readonly Secret[]) {
    const values = secrets.filter(({ value }) => value.length >= LEAST_SECRET);
    // A longer one may hold a shorter one.
    this.#secrets = values.toSorted((a, b) => b.value.length - a.value.length);
  }

  /** The text without secrets. */
  clean(text: string): string {
    let clean = text;
    for (const { what, value } of this.#secrets) {
      if (clean.includes(value)) clean = clean.split(value).join(this.#mark(what));
    }
    return clean
      .replace(PEM, () => this.#mark('private key'))
      .replace(OWN_TOKEN, (_, kind: string) => this.#mark(OWN_KINDS[kind.slice(0, 3)]!))
      .replace(JOIN_SECRET, () => this.#mark('join secret'))
      .replace(FOREIGN_TOKEN, () => this.#mark('token'))
      .replace(BEARER, (_, scheme: string, space: string) => {
        return `${scheme}${space}${this.#mark('credential')}`;
      })
      .replace(USER_INFO, (_, scheme: string) => `${scheme}${this.#mark('credential')}@`)
      .replace(OPTION, (found, name: string, value: string) => {
        return isHarmless(value) ? found : name + this.#mark('secret');
      })
      .replace(NAMED, (found, name: string, value: string) => {
        return isHarmless(value) ? found : name + this.#mark('secret');
      })
      .replace(KEY_BASE64, (key) => `${key.slice(0, SHOWN_OF_KEYS)}…`)
      .replace(KEY_HEX, (key) => `${key.slice(0, SHOWN_OF_KEYS)}…`);
  }

  #mark(what: string): string {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
    return `[${what} removed]`;
  }
}

const OWN_KINDS: Readonly<Record<string, string>> = {
  cwj: 'join token',
  cwt: 'API token',
  cwr: 'credential',
};

/** Words that stand for a secret without being one: `token = true`, a mark of ours. */
function isHarmless(value: string): boolean {
  return /^(true|false|null|none|undefined|yes|no|\(.*|\[.*|[0-9]{1,6})$/i.test(value);
}
