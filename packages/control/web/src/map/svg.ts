/** Elements of the map made and changed by hand: sixty frames a second leave no time to compare trees. */

export type Attributes = Readonly<Record<string, string | number>>;

export function svg<Name extends keyof SVGElementTagNameMap>(
  name: Name,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): SVGElementTagNameMap[Name] {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.append(...children);
  return element;
}

/** Touches the page only when something changes. */
export function set(element: Element, name: string, value: string): void {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** The elements of one layer by key: each is made once, drawn again only when what it shows changed, and removed when gone. */
export class Layer<Thing> {
  readonly #parent: Element;
  readonly #make: (thing: Thing) => Element;
  readonly #signature: (thing: Thing) => string;
  readonly #drawn = new Map<string, { element: Element; signature: string }>();

  constructor(parent: Element, signature: (thing: Thing) => string, make: (thing: Thing) => Element) {
    this.#parent = parent;
    this.#signature = signature;
    this.#make = make;
  }

  draw(things: ReadonlyMap<string, Thing>): void {
    for (const [key, { element }] of this.#drawn) {
      if (things.has(key)) continue;
      element.remove();
      this.#drawn.delete(key);
    }
    for (const [key, thing] of things) {
      const signature = this.#signature(thing);
      const before = this.#drawn.get(key);
      if (before?.signature === signature) continue;
      const element = this.#make(thing);
      if (before === undefined) this.#parent.append(element);
      else before.element.replaceWith(element);
      this.#drawn.set(key, { element, signature });
    }
  }

  *elements(): Generator<[string, Element]> {
    for (const [key, { element }] of this.#drawn) yield [key, element];
  }

  element(key: string): Element | undefined {
    return this.#drawn.get(key)?.element;
  }
}
