// A page to read one document of the index on, or one source file of this program.
import { byId, element, setText } from './dom.js';
import { rendered } from './markdown.js';
import { reasonOf, request } from './request.js';

/** @import { Code, DocumentText } from '../protocol.js' */

const content = byId('content', HTMLElement);
const where = byId('where', HTMLElement);

/** @param {string} path */
async function showDocument(path) {
  const answer = await request(`/api/document?${new URLSearchParams({ path })}`);
  /** @type {DocumentText} */
  const { path: shown, sections } = await answer.json();
  document.title = shown.split('/').at(-1) ?? shown;
  setText(where, shown);
  const parts = sections.map(({ position, heading, content: text }, i) => {
    const section = element('section');
    section.id = `section-${position}`;
    // A long section comes in parts: only the first has the heading.
    if (heading !== '' && heading !== sections[i - 1]?.heading) {
      section.append(element(i === 0 ? 'h1' : 'h2', '', ...rendered(heading, true)));
    }
    section.append(...rendered(text));
    return section;
  });
  if (parts[0]?.firstElementChild?.tagName !== 'H1') parts[0]?.prepend(element('h1', 'unseen', document.title));
  content.replaceChildren(...parts);
}

/** @param {string} name */
async function showCode(name) {
  const answer = await request(`/api/code/${encodeURIComponent(name)}`);
  /** @type {Code} */
  const { file, text, from, to } = await answer.json();
  document.title = file.split('/').at(-1) ?? file;
  setText(where, `${file}, lines ${from} to ${to}`);
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line, i) => {
      const number = i + 1;
      const made = element('span', number >= from && number <= to ? 'line meant' : 'line', `${line}\n`);
      made.dataset.number = String(number);
      return made;
    });
  const code = element('pre', 'code', ...lines);
  // It scrolls on a narrow screen, also by the keyboard.
  code.tabIndex = 0;
  content.replaceChildren(element('h1', 'unseen', document.title), code);
  lines[from - 1]?.scrollIntoView({ block: 'center' });
}

async function show() {
  const asked = new URLSearchParams(location.search);
  const code = asked.get('code');
  if (code !== null) return showCode(code);
  await showDocument(asked.get('document') ?? '');
  // The browser has looked for it before it was there.
  const section = document.getElementById(location.hash.slice(1));
  section?.classList.add('meant');
  section?.scrollIntoView();
}

show().catch((/** @type {unknown} */ error) => {
  content.replaceChildren(element('h1', '', 'It cannot be shown'), element('p', 'error', reasonOf(error)));
});

byId('back', HTMLAnchorElement).addEventListener('click', (event) => {
  // To the results as they were; a tab of its own has none to go back to.
  if (history.length < 2) return;
  event.preventDefault();
  history.back();
});
