/** The shapes of segments, in memory: each once, however many segments have it, so that a filter looks at each once. */
import { hash } from 'node:crypto';
import { FLOW_TEXTS } from '@weft/proto';
import type { FlowShape } from './packing.ts';

const SHARED_TEXTS = FLOW_TEXTS.filter((name) => name !== 'id' && name !== 'detail');

/** Of one segment. Place n is of the shape with id n + 1. */
export interface SegmentShapes {
  readonly shapes: FlowShape[];
  /** Records of each shape. */
  readonly counts: number[];
  /** Group that each is summed in. */
  readonly groups: number[];
}

/** Of a shape's key. Segments share most shapes: where the digest is known, the rest need not be read. */
export function digestOf(key: string): string {
  return hash('sha256', key, 'base64url').slice(0, 22);
}

/** By digest. */
export class ShapeInterner {
  readonly #mostShapes: number;
  readonly #mostCharacters: number;
  readonly #shapes = new Map<string, FlowShape>();
  #characters = 0;

  constructor(mostShapes = 100_000, mostCharacters = 24_000_000) {
    this.#mostShapes = mostShapes;
    this.#mostCharacters = mostCharacters;
  }

  /** Too many to hold; whoever keeps some forgets them, too. */
  get full(): boolean {
    return this.#shapes.size > this.#mostShapes || this.#characters > this.#mostCharacters;
  }

  find(digest: string): FlowShape | undefined {
    return this.#shapes.get(digest);
  }

  intern(digest: string, shape: FlowShape): FlowShape {
    const known = this.#shapes.get(digest);
    if (known !== undefined) return known;
    this.#shapes.set(digest, shape);
    this.#characters += shape.network.length;
    for (const name of SHARED_TEXTS) this.#characters += shape[name].length;
    return shape;
  }

  clear(): void {
    this.#shapes.clear();
    this.#characters = 0;
  }
}
