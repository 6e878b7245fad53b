import { element } from './dom.js';
import { lexer, Lexer } from './vendor/marked.js';

/** @import { Token } from './vendor/marked.js' */

/**
 * Markdown as elements. HTML in it is shown as text, links lead to the web and nowhere else, and pictures are not loaded:
 * documents come from anywhere.
 *
 * @param {string} markdown
 * @param {boolean} [inline] a line, such as a heading
 * @returns {(Node | string)[]}
 */
export function rendered(markdown, inline = false) {
  return elementsOf(inline ? Lexer.lexInline(markdown) : lexer(markdown));
}

/** @type {Record<string, (token: Token) => Node | string>} */
const ELEMENTS = {
  space: () => '',
  hr: () => element('hr'),
  br: () => element('br'),
  // Below the heading of its section.
  heading: (token) => element('h3', '', ...inside(token)),
  paragraph: (token) => element('p', '', ...inside(token)),
  blockquote: (token) => element('blockquote', '', ...inside(token)),
  code: ({ text = '' }) => scrolling(element('pre', '', text)),
  codespan: ({ text = '' }) => element('code', '', text),
  strong: (token) => element('strong', '', ...inside(token)),
  em: (token) => element('em', '', ...inside(token)),
  del: (token) => element('del', '', ...inside(token)),
  text: (token) => (token.tokens ? fragment(inside(token)) : (token.text ?? '')),
  escape: ({ text = '' }) => text,
  html: ({ raw }) => (/^\s*<!--[^]*-->\s*$/.test(raw) ? '' : raw),
  link: (token) => linkTo(token.href, inside(token)),
  image: ({ text = '', href }) => linkTo(href, [`[picture: ${text || 'without a title'}]`]),
  list: ({ ordered, start, items = [] }) => {
    const list = element(ordered ? 'ol' : 'ul', '', ...items.map((item) => element('li', '', ...inside(item))));
    if (ordered && typeof start === 'number' && start !== 1) list.setAttribute('start', String(start));
    return list;
  },
  table: ({ header = [], rows = [] }) => {
    const head = element('tr', '', ...header.map((cell) => element('th', '', ...inside(cell))));
    const body = rows.map((row) => element('tr', '', ...row.map((cell) => element('td', '', ...inside(cell)))));
    return scrolling(
      element('div', 'wide', element('table', '', element('thead', '', head), element('tbody', '', ...body))),
    );
  },
};

/** @param {Token[]} tokens */
function elementsOf(tokens) {
  return tokens.map((token) => ELEMENTS[token.type]?.(token) ?? token.raw);
}

/** @param {Token} token */
function inside({ tokens, text = '' }) {
  return tokens ? elementsOf(tokens) : [text];
}

/** @param {(Node | string)[]} nodes */
function fragment(nodes) {
  const made = document.createDocumentFragment();
  made.append(...nodes);
  return made;
}

/** What may be wider than the screen is scrolled by itself, also by the keyboard. @param {HTMLElement} wide */
function scrolling(wide) {
  wide.tabIndex = 0;
  return wide;
}

/**
 * @param {string | undefined} href
 * @param {(Node | string)[]} children
 */
function linkTo(href, children) {
  const url = href !== undefined && URL.canParse(href) ? new URL(href) : undefined;
  // A path leads to another document, which may not be in the index; a script leads anywhere.
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) return element('span', 'no-link', ...children);
  const link = element('a', '', ...children);
  link.href = url.href;
  link.rel = 'noopener noreferrer nofollow';
  return link;
}
