/** The grid of nodes in a host's box. A node keeps its slot for as long as it stands there, so that nothing beside it moves. */
import { boxHeader, boxPadding, card, cardGap, type Rect, type Size } from './places.ts';

export interface Grid {
  readonly columns: number;
  /** By node. Slots run along rows. */
  readonly slots: ReadonlyMap<string, number>;
}

export function gridOf(nodes: readonly string[], before: Grid | undefined): Grid {
  const columns = before?.columns ?? columnsFor(nodes.length);
  const slots = new Map<string, number>();
  for (const node of nodes) {
    const slot = before?.slots.get(node);
    if (slot !== undefined) slots.set(node, slot);
  }
  const taken = new Set(slots.values());
  let free = 0;
  for (const node of nodes) {
    if (slots.has(node)) continue;
    while (taken.has(free)) free += 1;
    taken.add(free);
    slots.set(node, free);
  }
  return { columns, slots };
}

/** Cards are wide and low: about half as many columns as rows makes a box of a good shape. */
function columnsFor(nodes: number): number {
  return Math.max(1, Math.round(Math.sqrt(nodes * 0.6)));
}

export function gridSize(grid: Grid): Size {
  const last = Math.max(-1, ...grid.slots.values());
  const columns = Math.max(1, Math.min(grid.columns, last + 1));
  const rows = Math.floor(last / grid.columns) + 1;
  return {
    width: 2 * boxPadding + columns * card.width + (columns - 1) * cardGap.width,
    height: boxHeader + boxPadding + Math.max(rows * (card.height + cardGap.height) - cardGap.height, 6),
  };
}

export function slotRect(box: Rect, grid: Grid, node: string): Rect {
  const slot = grid.slots.get(node) ?? 0;
  return {
    x: box.x + boxPadding + (slot % grid.columns) * (card.width + cardGap.width),
    y: box.y + boxHeader + Math.floor(slot / grid.columns) * (card.height + cardGap.height),
    ...card,
  };
}
