import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join, posix } from 'node:path';

/** Links of the pages in a folder that lead to no file of it, or to no place in that file. Nothing is asked of the network. */
export function deadLinks(site) {
  const pages = readdirSync(site, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.html'));
  const texts = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]));
  const places = new Map(
    [...texts].map(([page, text]) => [
      page,
      new Set([...text.matchAll(/\s(?:id|name)="([^"]*)"/g)].map(([, id]) => id)),
    ]),
  );
  const dead = [];
  for (const [page, text] of texts) {
    for (const [, link] of text.matchAll(/<(?:a|link|img|script)\s[^>]*?\b(?:href|src)="([^"]*)"/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [path, place] = decodeURIComponent(link.replaceAll('&amp;', '&')).split('#');
      const target = path === '' ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(join(site, target))) dead.push({ page, link, why: 'leads to no file' });
      else if (place && places.has(target) && !places.get(target).has(place))
        dead.push({ page, link, why: 'leads to no heading' });
    }
  }
  return dead;
}
