import { byId, setText } from './dom.js';
import { bytes, counted } from './format.js';
import { reasonOf, request } from './request.js';

/** @import { Info, Job, JobRequest } from '../protocol.js' */

/** The form that starts jobs, and the whole page as a place to drop documents on. */
export class StartForm {
  #form = byId('start-form', HTMLFormElement);
  #error = byId('start-error', HTMLElement);
  #root = byId('root', HTMLSelectElement);
  #below = byId('below', HTMLInputElement);
  #files = byId('files', HTMLInputElement);
  #name = byId('text-name', HTMLInputElement);
  #text = byId('text', HTMLTextAreaElement);
  #start = byId('start', HTMLButtonElement);
  #user;
  #started;
  /** @type {Info['limits'] | undefined} */
  #limits;
  #sending = false;

  /**
   * @param {() => string} user
   * @param {(job: Job) => void} started
   */
  constructor(user, started) {
    this.#user = user;
    this.#started = started;
    this.#form.addEventListener('change', () => this.#showPanel());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#send(() => this.#chosen());
    });
    this.#root.addEventListener('change', () => this.#showRoot());
    this.#acceptDrops(byId('drop', HTMLElement));
    this.#showPanel();
    // Back from another page, the browser fills the form in again, which is no change.
    addEventListener('pageshow', () => this.#showPanel());
  }

  /** @param {Info} info */
  describe({ roots, limits }) {
    this.#limits = limits;
    const chosen = this.#root.value;
    this.#root.replaceChildren(...roots.map((root) => new Option(lastPart(root), root)));
    if (roots.includes(chosen)) this.#root.value = chosen;
    this.#showRoot();
    setText(
      byId('files-note', HTMLElement),
      `Or drop them anywhere on this page. Text or Markdown, no PDF: up to ${counted(limits.files, 'file')}, ` +
        `${bytes(limits.documentBytes)} each, ${bytes(limits.uploadBytes)} together.`,
    );
  }

  #showRoot() {
    setText(byId('root-path', HTMLElement), this.#root.value);
  }

  get #kind() {
    return new FormData(this.#form).get('kind');
  }

  #showPanel() {
    for (const panel of this.#form.querySelectorAll('.panel')) {
      if (panel instanceof HTMLElement) panel.hidden = panel.dataset.kind !== this.#kind;
    }
  }

  /** @returns {JobRequest | FormData} */
  #chosen() {
    const user = this.#user();
    switch (this.#kind) {
      case 'files':
        return this.#upload([...(this.#files.files ?? [])]);
      case 'text': {
        if (this.#text.value.trim() === '') throw new Error('There is no text yet.');
        return {
          user,
          source: { kind: 'text', name: this.#name.value.trim() || 'Pasted text', text: this.#text.value },
        };
      }
      default: {
        const below = this.#below.value.trim();
        const root = this.#root.value.replace(/\/$/, '');
        const path = below.startsWith('/') ? below : below === '' ? this.#root.value : `${root}/${below}`;
        return { user, source: { kind: 'directory', path } };
      }
    }
  }

  /** @param {File[]} files */
  #upload(files) {
    if (files.length === 0) throw new Error('No file is chosen yet.');
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const limits = this.#limits;
    // The server checks too; this spares an upload that it would refuse at its end.
    if (limits && files.length > limits.files) {
      throw new Error(`These are ${files.length} files; ${limits.files} at a time is the limit.`);
    }
    if (limits && size > limits.uploadBytes) {
      throw new Error(`These are ${bytes(size)}; ${bytes(limits.uploadBytes)} at a time is the limit.`);
    }
    const data = new FormData();
    // Before the files, so that the server knows whose they are when they come.
    data.append('user', this.#user());
    for (const file of files) data.append('files', file);
    return data;
  }

  /** @param {() => JobRequest | FormData} chosen throws what is to be said to the user */
  async #send(chosen) {
    if (this.#sending) return;
    this.#sending = true;
    this.#start.setAttribute('aria-disabled', 'true');
    setText(this.#start, 'Starting …');
    setText(this.#error, '');
    try {
      const body = chosen();
      const answer = await request('/api/jobs', {
        method: 'POST',
        ...(body instanceof FormData
          ? { body }
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      this.#started(/** @type {Job} */ (await answer.json()));
      this.#files.value = '';
      this.#text.value = '';
      this.#name.value = '';
    } catch (error) {
      setText(this.#error, reasonOf(error));
    } finally {
      this.#sending = false;
      this.#start.removeAttribute('aria-disabled');
      setText(this.#start, 'Start');
    }
  }

  /** @param {HTMLElement} overlay */
  #acceptDrops(overlay) {
    // `dragleave` comes for every element that the pointer passes: only the one that leaves the window counts.
    document.addEventListener('dragenter', (event) => {
      overlay.hidden = !hasFiles(event);
    });
    document.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) overlay.hidden = true;
    });
    // Without this the browser would open the file instead of the page.
    document.addEventListener('dragover', (event) => {
      if (hasFiles(event)) event.preventDefault();
    });
    document.addEventListener('drop', (event) => {
      overlay.hidden = true;
      if (!hasFiles(event)) return;
      event.preventDefault();
      const items = [...(event.dataTransfer?.items ?? [])];
      const folders = items.some((item) => item.webkitGetAsEntry()?.isDirectory);
      const files = [...(event.dataTransfer?.files ?? [])];
      void this.#send(() => {
        if (folders) throw new Error('A folder cannot be dropped: drop the documents in it.');
        return this.#upload(files);
      });
    });
  }
}

/** Of a path; the whole of it is shown below. @param {string} path */
function lastPart(path) {
  return path.split(/[\\/]/).findLast((part) => part !== '') ?? path;
}

/** @param {DragEvent} event */
function hasFiles(event) {
  return event.dataTransfer?.types.includes('Files') ?? false;
}
