import { byId } from './dom.js';

const KEY = 'document-indexing-user';

/** Who sits in front of the page: a name of one's own choice, kept by this browser. */
export class User {
  #input = byId('user', HTMLInputElement);
  #name;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#name = localStorage.getItem(KEY) ?? '';
    this.#input.value = this.#name;
    byId('user-form', HTMLFormElement).addEventListener('submit', (event) => {
      event.preventDefault();
      const name = this.#input.value.trim();
      if (name === '') this.#input.value = this.#name;
      if (name === '' || name === this.#name) return;
      localStorage.setItem(KEY, name);
      this.#become(name, changed);
    });
    // Another tab of this browser.
    addEventListener('storage', ({ key, newValue }) => {
      if (key === KEY && newValue !== null && newValue !== this.#name) this.#become(newValue, changed);
    });
  }

  /** Who one is as long as one has not said otherwise. @param {string} name */
  assume(name) {
    if (this.#name !== '') return;
    this.#name = name;
    if (this.#input.value === '') this.#input.value = name;
  }

  get name() {
    return this.#name;
  }

  /**
   * @param {string} name
   * @param {() => void} changed
   */
  #become(name, changed) {
    this.#name = name;
    this.#input.value = name;
    changed();
  }
}
