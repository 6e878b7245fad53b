import { deepStrictEqual } from 'node:assert/strict';
import type { Integrity } from '../../../../collectors/file-batcher.js';
import { damage, judge, recovered, sample, textsOf } from './damage.js';

export interface DamageOptions {
  readonly integrity: Integrity;
  /** 1 flips every bit and cuts at every byte, a larger one every so many bits. */
  readonly step: number;
  /** How many files are damaged in any way. */
  readonly files: number;
}

const TEXTS = textsOf(7, 12);

/** Each throws if it finds something wrong. */
export const DAMAGE_CHECKS: Readonly<Record<string, (options: DamageOptions) => Promise<void>>> = {
  'intact, every item comes back, in order': async ({ integrity }) => {
    const { name, bytes } = sample(integrity, TEXTS);
    deepStrictEqual((await recovered(name, bytes)).texts, TEXTS);
  },

  'G2, G10: a bit flip costs at most two items, and fabricates none': async ({ integrity, step }) => {
    const original = sample(integrity, TEXTS);
    const { bytes } = original;
    for (let index = 0; index < 8 * bytes.length; index += step) {
      const at = Math.floor(index / 8);
      const bit = index % 8;
      const damaged = Buffer.from(bytes);
      damaged[at] = (bytes[at] ?? 0) ^ (1 << bit);
      const wrong = await judge(original, damaged, at, at + 1);
      if (wrong !== undefined) throw new Error(`bit ${bit} of byte ${at}: ${wrong}`);
    }
  },

  'G10: a truncation costs the items that it cuts off': async ({ integrity, step }) => {
    const { name, bytes, starts } = sample(integrity, TEXTS);
    for (let length = 0; length < bytes.length; length += Math.ceil(step / 8)) {
      const { texts } = await recovered(name, bytes.subarray(0, length));
      // The checksum says that a line is whole, also without its newline.
      const whole = starts.filter((start) => start > 0 && start <= length + (integrity === 'none' ? 0 : 1)).length;
      deepStrictEqual(texts, TEXTS.slice(0, whole), `cut at ${length}`);
    }
  },

  'G10: every aligned hole of 512 bytes costs the lines that it touches': async ({ integrity }) => {
    const large = sample(integrity, textsOf(8, 150));
    for (let from = 0; from < large.bytes.length; from += 512) {
      const damaged = Buffer.from(large.bytes);
      const to = Math.min(from + 512, damaged.length);
      damaged.fill(0, from, to);
      const wrong = await judge(large, damaged, from, to);
      if (wrong !== undefined) throw new Error(`hole at ${from}: ${wrong}`);
    }
  },

  'G2, G9: files that were damaged in any way: each opens, and no item is fabricated': async ({ integrity, files }) => {
    const { name, bytes } = sample(integrity, TEXTS);
    const known = new Set(TEXTS);
    for (let seed = 1; seed <= files; seed++) {
      const { texts, left } = await recovered(name, damage(bytes, seed));
      deepStrictEqual(left, [], `seed ${seed}`);
      if (integrity === 'none') continue;
      const fabricated = texts.find((text) => !known.has(text));
      if (fabricated !== undefined) throw new Error(`seed ${seed}: ${fabricated} was never added`);
    }
  },
};
