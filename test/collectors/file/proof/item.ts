import type { Random } from 'batch-please/testing';
import type { Durability } from '../../../../collectors/file-batcher.js';

export interface Thing {
  id: number;
  pad: string;
  end: number;
}

/** An item that was added, and what is known of it. */
export interface StoredItem {
  id: number;
  text: string;
  generation: number;
  /** What was said of it: nothing yet, that it is stored, or that it never will be. */
  said: 'nothing' | 'stored' | 'refused';
  durability: Durability;
  at: number;
  /** It is known to survive power loss from now on. */
  safe: boolean;
  /** What happened to it is more than it has to survive. */
  excused: boolean;
  /** It was being added when the room was used up. */
  delivered: number;
  deliveries: number;
  batch: string | undefined;
  /** When it was refused, and whether that was said before what had been written of it was taken back. */
  refusedAt: number;
  early: boolean;
  /** It was refused, and nothing stood in the way of taking back what had been written of it. */
  firm: boolean;
  /** That it was taken back survives power loss. */
  durablyFirm: boolean;
  /** A failed sync has dropped it, perhaps; the operating system goes on showing it. */
  ghost: boolean;
  /** The `lost` events of its generation are to account for it. */
  evicted: boolean;
  /** Its file had lost its name while this process wrote to it, which is to be noticed at the latest when it is sealed. */
  risk: number;
  /** It was on the disk before that began to lie. */
  proven: boolean;
  /** Its line was damaged, or its file removed. */
  harmed: boolean;
  /** Its `deliverItem` has resolved though it was not delivered: it is to be in quarantine, with its batch delivered. */
  owed: boolean;
  /** It may be in two files after a crash: that of a part, and that of the whole. */
  split: boolean;
  /** The process that `clear` has handed it back in; -1 for none. */
  cleared: number;
}

export function newThing(id: number, random: Random): Thing {
  const size = random.chance(0.1) ? 200 + random.int(900) : random.int(60);
  const alphabet = random.pick(['x', 'ab ', 'é', '€', '"\\', '\t ']);
  return { id, pad: alphabet.repeat(Math.ceil(size / alphabet.length)), end: id };
}

export function storedItem(thing: Thing, generation: number, durability: Durability): StoredItem {
  return {
    id: thing.id,
    text: JSON.stringify(thing),
    generation,
    said: 'nothing',
    durability,
    at: 0,
    safe: false,
    excused: false,
    delivered: -1,
    deliveries: 0,
    batch: undefined,
    refusedAt: 0,
    early: false,
    firm: false,
    durablyFirm: false,
    ghost: false,
    evicted: false,
    risk: -1,
    proven: false,
    harmed: false,
    owed: false,
    split: false,
    cleared: -1,
  };
}
