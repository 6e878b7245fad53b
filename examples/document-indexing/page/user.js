import { byId } from './dom.js';

/** Names for those who only want to see a second user. */
const NAMES = ['ann', 'bob', 'carl', 'dora', 'emil', 'fay', 'gus', 'hanna'];

/** Who sits in front of this tab: a name of one's own choice. It is part of the address, so every tab has its own. */
export class User {
  #input = byId('user', HTMLInputElement);
  #another = byId('another', HTMLAnchorElement);
  #name = '';

  /**
   * @param {string} usual who one is as long as one has not said otherwise
   * @param {() => void} changed
   */
  constructor(usual, changed) {
    this.#become(new URLSearchParams(location.search).get('user')?.trim() || usual);
    byId('user-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      if (name === '') this.#input.value = this.#name;
      if (name === '' || name === this.#name) return;
      this.#become(name);
      const address = new URL(location.href);
      address.searchParams.set('user', name);
      history.replaceState(null, '', address);
      changed();
    });
  }

  get name() {
    return this.#name;
  }

  /** @param {string} name */
  #become(name) {
    this.#name = name;
    this.#input.value = name;
    const others = NAMES.filter((other) => other !== name);
    const next = others[Math.floor(Math.random() * others.length)] ?? 'ann';
    this.#another.href = `/?user=${encodeURIComponent(next)}`;
  }
}
