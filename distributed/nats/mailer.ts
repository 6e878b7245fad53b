/** Collects what is sent to one subject within a turn of the event loop, and sends it together. */
export class Mailer<Entry> {
  #bySubject = new Map<string, Entry[]>();
  #due = false;

  constructor(private readonly send: (subject: string, entries: readonly Entry[]) => void) {}

  add(subject: string, entry: Entry): void {
    const entries = this.#bySubject.get(subject);
    if (entries === undefined) this.#bySubject.set(subject, [entry]);
    else entries.push(entry);
    if (this.#due) return;
    this.#due = true;
    // After the promises that settle in this turn, whose answers are to go along.
    process.nextTick(() => this.flush());
  }

  flush(): void {
    this.#due = false;
    const all = this.#bySubject;
    this.#bySubject = new Map();
    for (const [subject, entries] of all) this.send(subject, entries);
  }
}
