/** What the page shows is in the address after `#`, so that a view can be kept, sent and gone back to. */
export const VIEWS = ['map', 'services', 'agents', 'flows', 'policy', 'tokens', 'audit'] as const;
export type ViewName = (typeof VIEWS)[number];

export interface Route {
  readonly view: ViewName;
  /** Of a service or a host; empty for the listing. */
  readonly name: string;
  readonly query: Readonly<Record<string, string | undefined>>;
}

/** What cannot be read is the map: an address typed wrong still shows something. */
export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = splitOnce(hash.replace(/^#\/?/, ''), '?');
  const [view = '', name = ''] = splitOnce(path, '/');
  const known = VIEWS.find((each) => each === view);
  return {
    view: known ?? 'map',
    name: known === undefined ? '' : decoded(name),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** What is empty in the query is left out. */
export function hashOf(view: ViewName, name = '', query: Readonly<Record<string, string | undefined>> = {}): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') parameters.set(key, value);
  }
  const tail = parameters.toString();
  return `#/${view}${name === '' ? '' : `/${encodeURIComponent(name)}`}${tail === '' ? '' : `?${tail}`}`;
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
