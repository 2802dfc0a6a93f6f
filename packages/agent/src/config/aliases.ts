/** Anchors, aliases and merge keys that cannot mean anything: the YAML library finds them late and without a place, or never. */
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, visit } from 'yaml';

export interface AliasProblem {
  /** Where in the text. */
  readonly offset: number;
  readonly message: string;
}

export function aliasProblems(document: Document): AliasProblem[] {
  const anchors = new Map<string, Node>();
  const problems: AliasProblem[] = [];
  const complain = (node: Node, message: string) => void problems.push({ offset: node.range?.[0] ?? 0, message });
  visit(document, {
    Node(_, node, path) {
      if (isAlias(node)) {
        const named = anchors.get(node.source);
        if (named === undefined) complain(node, `*${node.source} names no anchor; expected &${node.source} before it`);
        else if (path.includes(named)) complain(node, `*${node.source} stands within what it names`);
        return;
      }
      if (node.anchor === undefined) return;
      if (anchors.has(node.anchor)) complain(node, `the anchor &${node.anchor} stands twice; each may stand once`);
      anchors.set(node.anchor, node);
    },
    Pair(_, { key, value }) {
      if (!isMergeKey(key)) return;
      const sources = isSeq(value) ? value.items : [value];
      const behind = (source: unknown) => (isAlias(source) ? anchors.get(source.source) : source);
      if (sources.every((source) => isMap(behind(source)) || (isAlias(source) && behind(source) === undefined))) return;
      complain(key, '<< merges maps; expected one, an alias of one such as *name, or a list of such aliases');
    },
  });
  return problems;
}

/** As the library knows them: `<<` without quotes. */
function isMergeKey(key: unknown): key is Node {
  return isScalar(key) && key.value === '<<' && key.type === 'PLAIN';
}
