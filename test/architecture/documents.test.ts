/** The documents: every link inside of the repository leads somewhere, and the index has every page. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(ROOT, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].toSorted();

const texts = new Map(pages.map((page) => [page, readFileSync(join(ROOT, page), 'utf8')]));

/** Without what stands in code, where brackets mean something else. */
function prose(text: string): string {
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').replaceAll(/`[^`\n]*`/g, '');
}

/** The anchors that GitHub makes of a page's headings. */
function anchors(text: string): Set<string> {
  const found = new Set<string>();
  const counts = new Map<string, number>();
  for (const [, heading] of text
    .replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '')
    .matchAll(/^#+ (.+)$/gm)) {
    const slug = heading!
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    const count = counts.get(slug) ?? 0;
    counts.set(slug, count + 1);
    found.add(count === 0 ? slug : `${slug}-${count}`);
  }
  return found;
}

function linksOf(page: string): string[] {
  const links = [...prose(texts.get(page)!).matchAll(/\]\(([^)\s]+)\)/g)];
  return links.map(([, link]) => link!).filter((link) => !/^[a-z]+:/.test(link));
}

test.each(pages)('the links of %s lead somewhere', (page) => {
  const broken = linksOf(page).filter((link) => {
    const [path, anchor] = link.split('#') as [string, string?];
    const target = path === '' ? page : relative(ROOT, resolve(ROOT, dirname(page), path));
    if (!existsSync(join(ROOT, target))) return true;
    if (anchor === undefined) return false;
    return (
      statSync(join(ROOT, target)).isDirectory() || !anchors(texts.get(target) ?? '').has(anchor)
    );
  });
  expect(broken).toEqual([]);
});

test('the index has every page of docs/', () => {
  const listed = linksOf('docs/README.md').map((link) => link.split('#')[0]);
  const names = readdirSync(join(ROOT, 'docs'));
  const missing = names.filter((name) => {
    return /\.(md|json)$/.test(name) && name !== 'README.md' && !listed.includes(name);
  });
  expect(missing).toEqual([]);
});

test('every decision has a number of its own', () => {
  const names = readdirSync(join(ROOT, 'docs/decisions'));
  const numbers = names.map((name) => /^(\d{3})-[a-z0-9-]+\.md$/.exec(name)?.[1] ?? name);
  expect(numbers.filter((number, i) => numbers.indexOf(number) !== i)).toEqual([]);
});
