/**
 * @template {Element} T
 * @param {string} id
 * @param {new () => T} type
 * @returns {T}
 */
export function byId(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`The page has no ${type.name} #${id}.`);
  return found;
}

/**
 * Children that are strings become text, never HTML: names, paths and documents come from anywhere.
 *
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function element(tag, className = '', ...children) {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  made.append(...children);
  return made;
}

/**
 * What has not changed is not touched: neither the layout nor a screen reader has to look at it again.
 *
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @param {Element} node
 * @param {string} name
 * @param {string | number} value
 */
export function setAttribute(node, name, value) {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/**
 * However many updates arrive, `render` runs once a frame.
 *
 * @param {() => void} render
 * @returns {() => void} to be called for each update
 */
export function oncePerFrame(render) {
  let waiting = false;
  const run = () => {
    waiting = false;
    render();
  };
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(run);
  };
}

/** Announcements of the recent past; a screen reader says each once, when it comes to a pause. */
const ANNOUNCEMENTS = 5;

/** @param {string} text */
export function announce(text) {
  const announcer = byId('announcer', HTMLElement);
  announcer.append(element('p', '', text));
  while (announcer.childElementCount > ANNOUNCEMENTS) announcer.firstElementChild?.remove();
}
