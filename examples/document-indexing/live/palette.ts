/** Colours that differ enough to be distinguished on the page. */
const COLOURS = 12;

/** A colour for each user, which they keep as long as they are on the chart. */
export class Palette {
  readonly #colours = new Map<string, number>();

  /** -1 when all are taken. */
  colourOf(user: string): number {
    const known = this.#colours.get(user);
    if (known !== undefined) return known;
    const used = new Set(this.#colours.values());
    for (let colour = 0; colour < COLOURS; colour += 1) {
      if (used.has(colour)) continue;
      this.#colours.set(user, colour);
      return colour;
    }
    return -1;
  }

  restore(user: string, colour: number): void {
    if (colour >= 0) this.#colours.set(user, colour);
  }

  /** The colours of all others are free again. */
  keep(users: ReadonlySet<string>): void {
    if (this.#colours.size < COLOURS) return;
    for (const user of this.#colours.keys()) if (!users.has(user)) this.#colours.delete(user);
  }
}
