import type { Integrity } from '../../../../collectors/file-batcher.js';
import { damage, judge, recovered, sample, textsOf } from './damage.js';

const MODES: Integrity[] = ['line', 'suffix', 'none'];
const TEXTS = textsOf(7, 12);

/** `step` 1 flips every bit and cuts at every byte, a larger one every so many bits; `files` are damaged in any way. */
export function testDamage(step: number, files: number): void {
  describe.each(MODES)('a damaged file, integrity %s', (integrity) => {
    const original = sample(integrity, TEXTS);
    const { bytes } = original;

    test('intact, every item comes back, in order', async () => {
      expect((await recovered(original.name, bytes)).texts).toEqual(TEXTS);
    });

    test('G2, G10: a bit flip costs at most two items, and fabricates none', async () => {
      for (let index = 0; index < 8 * bytes.length; index += step) {
        const at = Math.floor(index / 8);
        const bit = index % 8;
        const damaged = Buffer.from(bytes);
        damaged[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const wrong = await judge(original, damaged, at, at + 1);
        if (wrong !== undefined) throw new Error(`bit ${bit} of byte ${at}: ${wrong}`);
      }
    }, 600_000);

    test('G10: a truncation costs the items that it cuts off', async () => {
      for (let length = 0; length < bytes.length; length += Math.ceil(step / 8)) {
        const { texts } = await recovered(original.name, bytes.subarray(0, length));
        // The checksum says that a line is whole, also without its newline.
        const whole = original.starts.filter(
          (start) => start > 0 && start <= length + (integrity === 'none' ? 0 : 1),
        ).length;
        expect(texts).toEqual(TEXTS.slice(0, whole));
      }
    }, 600_000);

    test('G10: every aligned hole of 512 bytes costs the lines that it touches', async () => {
      const large = sample(integrity, textsOf(8, 150));
      for (let from = 0; from < large.bytes.length; from += 512) {
        const damaged = Buffer.from(large.bytes);
        const to = Math.min(from + 512, damaged.length);
        damaged.fill(0, from, to);
        const wrong = await judge(large, damaged, from, to);
        if (wrong !== undefined) throw new Error(`hole at ${from}: ${wrong}`);
      }
    });

    test(`G2, G9: ${files} files that were damaged in any way: each opens, and no item is fabricated`, async () => {
      const known = new Set(TEXTS);
      for (let seed = 1; seed <= files; seed++) {
        const { texts, left } = await recovered(original.name, damage(bytes, seed));
        expect(left).toEqual([]);
        if (integrity === 'none') continue;
        const fabricated = texts.find((text) => !known.has(text));
        if (fabricated !== undefined) throw new Error(`seed ${seed}: ${fabricated} was never added`);
      }
    }, 600_000);
  });
}
